"""What texts are screened for, on the way in and out."""
