"""Makes the SDK of a later minor version out of the current one: whatever may grow has grown, at its end.

    grow(sdk, out)      headers of `sdk` (a folder `ccproxy`) into out/ccproxy
    shadow(top, out)    the source tree as links, with such an SDK in its place: what a later core would be

What must not grow (it is laid out in lists by plugins, or handed over without a size) is not in GROWS; its comment in
the header says so.
"""
import os
import re
import shutil

GROWS = ["ccp_config_row", "ccp_provider", "ccp_body_rule", "ccp_model_list", "ccp_transport", "ccp_middleware",
         "ccp_hook", "ccp_route", "ccp_task", "ccp_action", "ccp_service", "ccp_command", "ccp_option",
         "ccp_oauth_provider", "ccp_oauth_file", "ccp_program", "ccp_flag", "ccp_plugin", "ccp_sizes", "ccp_api",
         "ccp_plugin_env", "ccp_moment", "ccp_event_info", "ccp_summary", "ccp_delta", "ccp_cli", "ccp_oauth_call",
         "ccp_fetch", "ccp_fetched", "ccp_run", "ccp_ran", "ccp_upstream_request"]


def write_changed(path, text):
    """Only what differs, so that a build knows what is up to date."""
    try:
        with open(path) as old:
            if old.read() == text:
                return
    except OSError:
        pass
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as out:
        out.write(text)


def grown(name, text, seen):
    for struct in GROWS:
        pattern = r"(\nstruct %s \{\n(?:.*\n)*?)(\};)" % struct
        if re.search(pattern, text):
            member = "uint32_t grown;" if struct == "ccp_sizes" else "uint64_t grown[3];"
            text = re.sub(pattern, r"\1    %s\n\2" % member, text, count=1)
            seen.add(struct)
    if name == "plugin.h":
        minor = int(re.search(r"#define CCP_ABI_MINOR (\d+)", text).group(1))
        text = text.replace("#define CCP_ABI_MINOR %d" % minor, "#define CCP_ABI_MINOR %d" % (minor + 1))
    if name == "event.def":
        text += 'X(GROWN, "grown.event")\n'
    return text


def grow(sdk, out):
    seen = set()
    source = os.path.join(sdk, "ccproxy")
    for name in sorted(os.listdir(source)):
        with open(os.path.join(source, name)) as header:
            write_changed(os.path.join(out, "ccproxy", name), grown(name, header.read(), seen))
    missing = set(GROWS) - seen
    assert not missing, "not found in the headers: %s" % sorted(missing)


def link(source, target):
    if not os.path.islink(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.symlink(source, target)


def shadow(top, out):
    if os.path.isdir(out) and os.path.realpath(os.path.join(out, "CMakeLists.txt")) != os.path.join(top, "CMakeLists.txt"):
        shutil.rmtree(out)
    for name in os.listdir(top):
        if name != "proxy" and not name.startswith((".", "build")):
            link(os.path.join(top, name), os.path.join(out, name))
    for name in os.listdir(os.path.join(top, "proxy")):
        if name != "sdk":
            link(os.path.join(top, "proxy", name), os.path.join(out, "proxy", name))
    for name in os.listdir(os.path.join(top, "proxy", "sdk")):
        if name != "ccproxy":
            link(os.path.join(top, "proxy", "sdk", name), os.path.join(out, "proxy", "sdk", name))
    grow(os.path.join(top, "proxy", "sdk"), os.path.join(out, "proxy", "sdk"))
