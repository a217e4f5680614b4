# Licensed under the Apache License 2.0, see LICENSE.
"""What the commands of `tools/` do, one folder each. Nothing that trains imports from here."""
