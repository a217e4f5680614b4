# Licensed under the Apache License 2.0, see LICENSE.
"""Write the metafiles, model-index.yml and the tables of docs/model_zoo.md.

They follow from the configs, configs/results.csv (one line per experiment, or per report of its
numbers) and configs/methods.csv (one line per method). Run it after you change any of these.
``--check`` writes nothing and fails if a file is out of date.
"""

import argparse
import sys
from pathlib import Path

MMSEG_DEPTHUDA_COMMAND = ()  # the options come first
ROOT = Path(__file__).resolve().parents[1]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='fail if a file is out of date')
    parser.add_argument('--root', type=Path, default=ROOT, help='checkout (default: this one)')
    args = parser.parse_args(argv)
    import mmseg_depthuda

    mmseg_depthuda.register()
    from mmseg_depthuda.apps.model_zoo import stale_files, zoo_files

    try:
        files = zoo_files(args.root)
    except (ValueError, KeyError, OSError) as error:
        sys.exit(f'model_zoo: {error}')
    stale = stale_files(args.root, files)
    if args.check:
        if stale:
            sys.exit(f'Out of date: {", ".join(stale)}. Run python tools/model_zoo.py')
        print(f'{len(files)} files are up to date')
        return
    for path in stale:
        if path in files:
            (args.root / path).write_text(files[path], encoding='utf-8')
            print(f'Wrote {path}')
        else:
            print(f'No experiment belongs to {path}: remove it', file=sys.stderr)


if __name__ == '__main__':
    main()
