"""What stands beside the chapters: results of the labs, exercises, the quiz and the slides, read from their files."""
