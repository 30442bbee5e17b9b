"""Where everything comes from: bills of materials of the kit and of every node, and signed releases."""
