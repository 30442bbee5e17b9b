"""Deploy a site: phases in order, one run at a time, each in the journal; plan before, ask afterwards."""
