"""The one exception that users see."""


class UserError(ValueError):
    """A mistake the user can mend. Its message is one line: what is wrong, and what to do about it.

    The command line prints it and exits with status 2; everything else that is raised is a bug and keeps its traceback.
    """
