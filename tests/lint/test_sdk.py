"""What authors of plugins read is complete: every declaration of the SDK says what it is, the guide names all of it."""
import glob
import os
import re

import check

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SDK = os.path.join(TOP, "proxy", "sdk", "ccproxy")
RUN = 3  # so many declarations may share the comment above the first of them


def text_of(path):
    return open(path, errors="replace").read()


def declarations(text):
    """(line number, name, documented) of every member, enumerator, type, function and macro of a header.

    Documented is what has a comment on one of its own lines, or one that ends right above it, or above a run of at
    most RUN declarations without an empty line between them."""
    lines = text.split("\n")
    inside_comment, covered, found, depth, body = False, 0, [], 0, False
    for number, line in enumerate(lines, 1):
        body = body and line != "}"  # of an inline function
        bare = re.sub(r"/\*.*?\*/", "", line).strip()
        commented = "/*" in line or inside_comment
        if inside_comment:
            inside_comment = "*/" not in line
            covered = RUN if not inside_comment else covered
            continue
        if "/*" in line and "*/" not in line[line.rindex("/*"):]:
            inside_comment = True
        if commented and not bare:
            covered = RUN
            continue
        if not line.strip():
            covered = 0
        if not bare or bare.startswith(("#include", "#ifndef", "#endif", "#undef", "#ifdef", "#pragma", "X(", "extern \"C\"")):
            continue
        name = None if body else declared(bare, depth, lines[number - 2] if number > 1 else "")
        body = body or bare.startswith("static inline")
        depth += bare.count("{") - bare.count("}")
        if name is None:
            continue
        end = number
        while commented is False and end < len(lines) and not re.search(r"[;,{]\s*(/\*.*)?$", lines[end - 1]):
            end += 1  # the declaration goes on in further lines
            commented = "/*" in lines[end - 1]
        found.append((number, name, commented or covered > 0))
        covered = covered - 1 if not commented else covered
    return found


def declared(bare, depth, above):
    if above.rstrip().endswith("\\"):
        return None
    for pattern in (r"#define (\w\w+)", r"^(?:struct|enum) (\w+) \{", r"^static inline .*?(\w+)\(", r"\(\*(?:const )?(\w+)\)\(",
                    r"^(CCP_\w+)\b.*,?$" if depth else r"^$", r"^[\w *]+?[ *](\w+)\([^*]", r"^[\w *]+?[ *](\w+)(?:\[\w*\])?(?:, .*)?;$"):
        match = re.search(pattern, bare)
        if match and not match.group(1).endswith("_H"):
            return match.group(1)
    return None


def test_headers_are_documented():
    missing, total = [], 0
    for path in sorted(glob.glob(os.path.join(SDK, "*.h"))):
        rows = declarations(text_of(path))
        total += len(rows)
        missing += ["%s:%d: %s has no comment" % (os.path.relpath(path, TOP), n, name) for n, name, fine in rows if not fine]
    assert total > 500, "only %d declarations were found: the reader is broken" % total
    assert not missing, "%d of %d:\n%s" % (len(missing), total, "\n".join(missing))


def test_the_reader_of_headers_sees_a_gap():
    sample = "/* A thing. */\nstruct a {\n    int one; /* fine */\n    int two;\n    int three;\n    int four;\n};\n\nint f(void);\n"
    assert [name for _, name, fine in declarations(sample) if not fine] == ["four", "f"], declarations(sample)


def guide():
    return text_of(os.path.join(TOP, "docs", "plugins.md"))


def test_guide_has_every_event():
    wanted = [(dotted, where) for dotted, where in
              re.findall(r'^X\(\w+, "([\w.]+)"\)\s*/\* (\w+)[ :]', text_of(os.path.join(SDK, "event.def")), re.M)]
    listed = re.findall(r"^\| `([\w.]+)` \| (M|W|S|any) \|", guide(), re.M)
    assert len(wanted) == len(re.findall(r"^X\(", text_of(os.path.join(SDK, "event.def")), re.M))
    assert sorted(listed) == sorted(wanted), "differ: %s" % sorted(set(listed) ^ set(wanted))


def test_guide_has_every_service():
    table = re.search(r"^## What the core offers\n(.*?)^## ", guide(), re.M | re.S).group(1)
    api = text_of(os.path.join(SDK, "api.h"))
    members = re.findall(r"\(\*(\w+)\)\(", api[api.index("struct ccp_api {"):])
    members = [m for m in members if m not in ("cancel", "run", "done", "fire", "on_event")] + ["run"]
    missing = sorted(m for m in set(members) if "`%s`" % m not in table)
    assert not missing and len(members) > 50, missing
    figures = re.findall(r"^ \* \| ([a-z_.]+\.[a-z_]+) ", text_of(os.path.join(TOP, "proxy/chain/api_figure.c")), re.M)
    assert figures and not [f for f in figures if "`%s`" % f not in table], figures


def test_guide_has_every_manifest_member():
    head = text_of(os.path.join(SDK, "plugin.h"))
    body = re.search(r"^struct ccp_plugin \{\n(.*?)^\};", head, re.M | re.S).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    members = re.findall(r"^    [^;(]*\(\*(\w+)\)\(", body, re.M)
    for line in re.findall(r"^    (?!.*\()([^;\n]+);", body, re.M):
        members += re.findall(r"(\w+)(?:,|$)", line.strip())
    section = re.search(r"^## The manifest\n(.*?)^## ", guide(), re.M | re.S).group(1)
    missing = [m for m in members if m != "abi" and "`%s`" % m not in section]
    assert len(members) > 25 and not missing, missing


def test_guide_has_the_limits():
    rows = text_of(os.path.join(TOP, "proxy/plugin/settings_rows.c"))
    rows = re.search(r"settings_limit_rows\[\] = \{(.*?)END", rows, re.S).group(1)
    for key, default in re.findall(r'\{"(\w+)", \w+, [^"]*"\\?"?([\w]+)', rows):
        assert "| `%s` | %s |" % (key, default) in guide(), (key, default)


if __name__ == "__main__":
    check.main(globals(), "lint/sdk")
