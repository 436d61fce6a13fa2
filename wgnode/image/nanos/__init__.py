"""An image for Nanos: checked parts, a manifest, Nanos' own mkfs, and QEMU's command line. Experimental."""
