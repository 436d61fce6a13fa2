from wgnode.image.contents import initial_files


def test_optional_modules_lie_where_only_their_option_looks_for_them() -> None:
    files = initial_files({}, {}, {"b": b"1", "a": b"2"}, {"masquerade": {"d": b"3", "c": b"4"}}, b"{}")
    modules = {path.removeprefix("lib/modules/"): entry.data for path, entry in files.items() if path.endswith(".ko")}
    assert modules == {"00-b.ko": b"1", "01-a.ko": b"2", "masquerade/00-d.ko": b"3", "masquerade/01-c.ko": b"4"}
