"""What the pages of queues and tasks show of the time behind them: rows of the database, and charts of these."""
