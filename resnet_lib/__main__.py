"""`python -m resnet_lib`."""

import sys

from resnet_lib.cli import main

sys.exit(main())
