"""What a case may come to."""


class Wrong(AssertionError):
    """The agent does what it must not, or not what it must."""


class NotServed(Exception):
    """The agent says, by name, that it does not serve this."""


class NotJudged(Exception):
    """Something else than the agent kept the case from being judged."""


def expect(is_right, otherwise):
    if not is_right:
        raise Wrong(otherwise)
