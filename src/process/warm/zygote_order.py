"""Tells how far a file of a plugin has come before it does more than to define what it is.

What the plugin changes, an import after it may depend on: the defaults of a module, functions that it replaces, hooks.
None of that can be seen from outside, so an import counts as moved only if nothing has run before it that could have
changed anything: imports, definitions, and assignments of plain values to names.
"""

ONLY_SYNTAX = 0x400  # `ast.PyCF_ONLY_AST`, without the module `ast`
END = 1 << 30  # a line after all others

# What may be called while a value is made: it changes nothing that is there already.
PURE = frozenset(
    "Path PurePath Path.home Path.cwd pathlib.Path pathlib.PurePath pathlib.Path.home pathlib.Path.cwd os.getcwd "
    "os.getenv getenv os.environ.get environ.get os.fspath os.cpu_count logging.getLogger getLogger re.compile "
    "TypeVar ParamSpec NewType namedtuple NamedTuple TypedDict Enum IntEnum typing.TypeVar typing.ParamSpec "
    "typing.NewType typing.NamedTuple collections.namedtuple collections.OrderedDict collections.defaultdict "
    "OrderedDict defaultdict field dataclasses.field importlib.util.find_spec suppress contextlib.suppress object "
    "bool bytes dict float frozenset hasattr int isinstance issubclass len list max min range set sorted str sum tuple "
    "type property staticmethod classmethod".split()
)
# The same of what a value of Python itself has: text and paths.
PURE_METHODS = frozenset(
    "absolute as_posix capitalize casefold decode encode endswith exists expanduser format is_absolute is_dir is_file "
    "joinpath lower lstrip partition relative_to removeprefix removesuffix resolve rpartition rsplit rstrip split "
    "splitlines startswith strip title upper with_name with_suffix zfill".split()
)
SEARCH_PATH = ("sys.path.insert", "sys.path.append", "sys.path.extend")
ENDS = ("sys.exit", "exit", "quit", "os._exit")
# Expressions that are as harmless as their parts.
PLAIN = frozenset(
    "Constant Num Str Bytes NameConstant Ellipsis Name Attribute Subscript Index Slice ExtSlice Tuple List Set Dict "
    "UnaryOp BinOp BoolOp Compare IfExp JoinedStr FormattedValue ListComp SetComp DictComp GeneratorExp NamedExpr "
    "Starred comprehension keyword".split()
)


def effects_of(file):
    """The lines of a file from which on it may have changed something, as pairs: the first, and the last of those that
    it matters to, which is `END` unless the program ends there. A file that cannot be read has changed something from
    its first line on.
    """
    try:
        with open(file, "rb") as source:
            tree = compile(source.read(), file, "exec", ONLY_SYNTAX, True)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return [(0, END)]
    reader = Reader()
    try:
        reader.read(tree.body, END)
    except RecursionError:
        return [(0, END)]
    return reader.effects


def kind(node):
    return type(node).__name__


def dotted(node):
    """`a.b.c` as a text; None for anything else."""
    parts = []
    while kind(node) == "Attribute":
        parts.append(node.attr)
        node = node.value
    if kind(node) != "Name":
        return None
    return ".".join([node.id] + parts[::-1])


class Reader:
    """Goes through the statements that run when a file is imported."""

    def __init__(self):
        self.effects = []
        self.defined = set()  # functions and classes of this file, which may do anything when they are called
        self.in_try = 0

    def read(self, statements, last):
        for statement in statements:
            read = getattr(self, "read_" + kind(statement), None)
            if read is None or not read(statement, last):
                decorators = [value.lineno for value in getattr(statement, "decorator_list", ())]
                self.effects.append((min([statement.lineno] + decorators), last))

    # Each of these says whether the statement itself is harmless; statements in it are looked at on their own.

    def read_Import(self, _statement, _last):
        return True

    read_ImportFrom = read_Pass = read_Global = read_Nonlocal = read_TypeAlias = read_Import

    def read_Raise(self, _statement, last):
        return last != END or not self.in_try

    def read_Expr(self, statement, _last):
        value = statement.value
        if kind(value) == "Call" and dotted(value.func) in SEARCH_PATH:
            return all(map(self.is_harmless, value.args))
        return self.is_harmless(value)

    def read_Assert(self, statement, _last):
        return self.is_harmless(statement.test)

    def read_FunctionDef(self, statement, _last):
        given = statement.args
        values = given.defaults + [value for value in given.kw_defaults if value is not None]
        harmless = all(map(self.is_decorator, statement.decorator_list)) and all(map(self.is_harmless, values))
        self.defined.add(statement.name)
        return harmless

    read_AsyncFunctionDef = read_FunctionDef

    def read_ClassDef(self, statement, last):
        values = statement.bases + [keyword.value for keyword in statement.keywords]
        harmless = all(map(self.is_decorator, statement.decorator_list)) and all(map(self.is_harmless, values))
        self.read(statement.body, last)
        self.defined.add(statement.name)
        return harmless

    def read_Assign(self, statement, _last):
        return all(map(self.is_name, statement.targets)) and self.is_harmless(statement.value)

    def read_AnnAssign(self, statement, _last):
        return self.is_name(statement.target) and (statement.value is None or self.is_harmless(statement.value))

    def read_AugAssign(self, statement, _last):
        return dotted(statement.target) == "__all__" and self.is_harmless(statement.value)

    def read_If(self, statement, last):
        self.read_block(statement.body, last)
        self.read_block(statement.orelse, last)
        return self.is_harmless(statement.test)

    def read_Try(self, statement, last):
        self.in_try += 1
        self.read(statement.body, last)
        self.in_try -= 1
        for handler in statement.handlers:
            self.read_block(handler.body, last)
        self.read(statement.orelse, last)
        self.read(statement.finalbody, last)
        return True

    read_TryStar = read_Try

    def read_With(self, statement, last):
        """`suppress` is a shorter `try`."""
        calls = [item.context_expr for item in statement.items]
        if not all(kind(call) == "Call" and dotted(call.func) in ("suppress", "contextlib.suppress") for call in calls):
            return False
        self.in_try += 1
        self.read(statement.body, last)
        self.in_try -= 1
        return True

    def read_block(self, statements, last):
        """One that may be left out. What it does before it ends the program matters to nothing after it."""
        if statements and last == END and not self.in_try and self.is_end(statements[-1]):
            line = statements[-1].lineno
            last = getattr(statements[-1], "end_lineno", None) or line
        self.read(statements, last)

    def is_end(self, statement):
        if kind(statement) == "Raise":
            return True
        value = getattr(statement, "value", None)
        return kind(statement) == "Expr" and kind(value) == "Call" and dotted(value.func) in ENDS

    def is_name(self, target):
        if kind(target) in ("Tuple", "List"):
            return all(map(self.is_name, target.elts))
        return kind(target) == "Name"

    def is_decorator(self, value):
        """Those that are imported wrap and register; a function of this file may do anything."""
        if kind(value) == "Call":
            return self.is_decorator(value.func) and all(map(self.is_harmless, value.args + value.keywords))
        return self.is_harmless(value) and (dotted(value) or "") not in self.defined

    def is_harmless(self, value):
        if kind(value) == "Lambda":
            return True
        if kind(value) == "Call":
            return self.is_pure(value) and all(map(self.is_harmless, value.args + value.keywords))
        if kind(value) not in PLAIN:
            return False
        for name in value._fields:
            part = getattr(value, name, None)
            for item in part if isinstance(part, list) else (part,):
                if hasattr(item, "_fields") and kind(item) not in CONTEXTS and not self.is_harmless(item):
                    return False
        return True

    def is_pure(self, call):
        name = dotted(call.func)
        if name is not None and name.partition(".")[0] in self.defined:
            return False
        if name is not None and (name in PURE or name.startswith(("os.path.", "path."))):
            return True
        function = call.func
        return kind(function) == "Attribute" and function.attr in PURE_METHODS and self.is_harmless(function.value)


# Parts of expressions that are no expressions: operators, and whether a name is read.
CONTEXTS = frozenset(
    "Load Store Del And Or Add Sub Mult MatMult Div Mod Pow LShift RShift BitOr BitXor BitAnd FloorDiv Invert Not UAdd "
    "USub Eq NotEq Lt LtE Gt GtE Is IsNot In NotIn Param".split()
)
