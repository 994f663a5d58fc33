"""Run the scripts, or with `--rewrite` write down what the master says now."""

import sys

from tests.scripts.blocks import parse, rerun, script_paths, write


def main(arguments: list[str]) -> int:
    changed = 0
    for path in script_paths():
        text = path.read_text()
        new = write(rerun(parse(text)))
        if new != text:
            changed += 1
            print(f"{path.name}: {'rewritten' if '--rewrite' in arguments else 'differs'}")
            if "--rewrite" in arguments:
                path.write_text(new)
    return 0 if "--rewrite" in arguments else min(1, changed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
