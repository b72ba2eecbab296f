"""What runs (formation), what it opens (connections), what it costs (prices, bill), and how long jobs wait."""
