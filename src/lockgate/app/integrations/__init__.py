"""What other systems read from Lockgate."""
