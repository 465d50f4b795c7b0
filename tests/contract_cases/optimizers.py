CASES: dict[str, dict] = {}
