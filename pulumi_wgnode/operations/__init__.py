"""What works over many stacks of a project: their state and their hosts, read and compared, and a mesh recovered."""
