"""How fast the data plane is, beside every other userspace implementation: `make bench-dataplane`.

    [wgi-XXXXXX-a] veth0 192.0.2.1 2001:db8::1 ---------- veth0 192.0.2.2 2001:db8::2 [wgi-XXXXXX-b]
      node A, 10.9.0.1 fd09::1                               node B, 10.9.0.2 fd09::2

Rounds interleave the implementations, each started afresh in namespaces of its own, so that what the machine does
meanwhile meets all of them; a figure is the median of its rounds, and a ratio that of the rounds' ratios.
"""
