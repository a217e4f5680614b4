# Licensed under the Apache License 2.0, see LICENSE.
"""What the commands of `tools/` do, a room each; nothing that trains imports from here."""
