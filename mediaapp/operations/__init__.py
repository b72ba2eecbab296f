"""What the pages of the staff show, without the pages."""
