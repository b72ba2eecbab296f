"""The pages of the staff, a module each."""
