"""Deploy a site: phases in order, one run at a time, each in the journal; plan it before, ask it afterwards."""
