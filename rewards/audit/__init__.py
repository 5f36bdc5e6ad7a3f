"""What is measured about a judge before it is trusted."""
