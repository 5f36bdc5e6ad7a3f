"""A page for each arm: what training did to its debates, and the debates themselves."""
