"""Turns the code on a page into a test: guide.py PAGE OUT."""

import pathlib
import re
import sys

page, out = map(pathlib.Path, sys.argv[1:])
blocks = re.findall(r"^```cpp\n(.*?)^```$", page.read_text(), re.S | re.M)
assert blocks, f"{page} has no code"
text = ['#include <gtest/gtest.h>', '#include "peat/automerge/inspect.hpp"',
        '#include "peat/automerge/sync.hpp"', '#define CHECK(...) EXPECT_TRUE(bool(__VA_ARGS__))',
        'using namespace peat::automerge;']
for number, block in enumerate(blocks, start=1):
    text += [f"TEST(Guide, Block{number}) {{", block, "}"]
out.write_text("\n".join(text) + "\n")
