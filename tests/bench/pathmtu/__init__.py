"""What finding path MTUs does for two hosts, beside what people do without: `make bench-pathmtu`."""
