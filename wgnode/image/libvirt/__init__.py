"""A gateway as a domain of the host's libvirt: its XML, what differs of one that runs, and what runs it on the host."""
