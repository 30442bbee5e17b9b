"""Where everything comes from: bills of materials, what is known to be wrong with it, and signed releases."""
