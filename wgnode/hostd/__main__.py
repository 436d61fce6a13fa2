"""What the zipapp starts."""

from wgnode.hostd.main import main

raise SystemExit(main())
