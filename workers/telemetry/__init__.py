"""What is recorded of each task run and each queue, and what is made of it."""
