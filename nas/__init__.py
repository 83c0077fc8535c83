"""Who decides which designs are trained, and what the records say."""
