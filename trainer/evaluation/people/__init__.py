"""Studies in which people judge: made from evaluated runs, and what came out of them. Gold labels are known here."""
