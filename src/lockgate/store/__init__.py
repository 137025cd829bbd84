"""The database, the journal and what is kept in them."""
