"""What labels cost: judges are taught from labels of two sources under a budget, and compared."""
