# A click command, or one of what builds on it (typer with its own copy of click, asyncclick),
# as commands and parameters. Goes by attributes, for the classes differ between versions.

NOT_WORK = {"--version", "--install-completion", "--show-completion"}


def read_click(command):
    answer = Answer()
    description = command_text(command) or prose(program_docstring())
    walk_command(answer, command, [], [], None)
    return answer.text(description, lambda: command.get_help(context_of(command, [], None)))


def command_text(command, fallback=True):
    text = getattr(command, "help", None) or (fallback and getattr(command, "short_help", None)) or ""
    text = prose(text)
    return sentences(text, "Deprecated") if getattr(command, "deprecated", False) else text


def walk_command(answer, command, words, outer, parent):
    context = context_of(command, words, parent)
    own = [(param, context, len(words)) for param in params_of(command, context)]
    group = hasattr(command, "list_commands") and hasattr(command, "get_command")
    if not group or getattr(command, "invoke_without_command", False):
        try:
            add_command(answer, words, outer + own, command_text(command))
        except Skip as reason:
            answer.warn(words, str(reason))
    if not group or len(words) > 8:
        return
    for word in command.list_commands(context):
        inner = words + [word]
        try:
            child = child_of(command, context, word)
            if child is not None and not getattr(child, "hidden", False):
                walk_command(answer, child, inner, outer + own, context)
        except BaseException as error:  # some end the program where a module is missing
            answer.warn(inner, "it cannot be loaded: %s: %s" % (type(error).__name__, error))


def child_of(group, context, word):
    """A command as the group finds it when it is called; some find one only by `resolve_command`."""
    child = group.get_command(context, word)
    if child is None and hasattr(group, "resolve_command"):
        child = group.resolve_command(context, [word])[1]
    return child


def context_of(command, words, parent):
    build = getattr(command, "context_class", None)
    if build is None:
        build = sys.modules[asked_module].Context
    name = words[-1] if words else plugin_name
    try:
        return build(command, info_name=name, parent=parent, **command.context_settings)
    except TypeError:
        return build(command, info_name=name, parent=parent)


def params_of(command, context):
    """Its parameters without help, version and shell completion."""
    helps = set(getattr(context, "help_option_names", ()))
    for param in command.get_params(context):
        if getattr(param, "hidden", False) and not param.required:
            continue
        if param.param_type_name == "option":
            # An option of the program's own may have `-h`, which the help then does without.
            if set(param.opts) & helps and param.is_eager and not param.expose_value:
                continue
            if set(param.opts) & NOT_WORK and (param.callback or not param.expose_value):
                continue
        yield param


def add_command(answer, words, entries, description):
    last = len(words)
    options, positionals = [], []
    for param, context, level in entries:
        option = param.param_type_name == "option"
        for parameter in (click_option if option else click_argument)(param, context, level == last):
            parameter.update(level=level, _source=id(param), _dest="%d %s" % (level, param.name))
            (options if option else positionals).append(parameter)
    for index, parameter in enumerate(positionals):
        # Words are handed out from the left: one that is missing would take its neighbour's.
        if not parameter.get("_unbounded") and any(p["required"] for p in positionals[index + 1:]):
            parameter["required"] = True
    groups = [
        ([id(param)], False) for param, _, _ in entries if getattr(param, "_flag_needs_value", False)
    ]
    answer.add(words, description, options + positionals_in_order(positionals), groups)


def click_option(param, context, innermost):
    flag = telling_flag(param.opts, param.name) if param.opts else None
    if flag is None:  # `/--no-color`: there is only a word for false
        return [negative_only(param)] if param.secondary_opts else []
    stem = param.name if len(flag) == 2 else flag
    parameter = {"name": property_name(stem or flag), "flag": flag, "required": is_needed(param)}
    parameter["description"] = option_text(param)
    if getattr(param, "count", False):
        parameter.update(type="integer", minimum=0, arg_style="count")
    elif getattr(param, "is_flag", False):
        parameter.update(type="boolean", arg_style="flag")
        click_flag(param, parameter)
        return [parameter]
    else:
        click_value(param, context, parameter)
    set_default(param, context, parameter)
    found = [parameter]
    if getattr(param, "_flag_needs_value", False) and not getattr(param, "prompt", None):
        found.append(bare_form(parameter, param))
    return found


def negative_only(param):
    flag = param.secondary_opts[0]
    return {
        "name": property_name(flag), "type": "boolean", "flag": flag, "arg_style": "flag",
        "required": False, "default": False, "description": option_text(param),
    }


def click_flag(param, parameter):
    if param.secondary_opts:
        parameter["negative_flag"] = next(
            (f for f in param.secondary_opts if len(f) > 2), param.secondary_opts[0]
        )
        default = plain(param.default)
        parameter["default"] = default if isinstance(default, bool) else None
    elif plain(param.default) in (None, False) and getattr(param, "flag_value", True) in (True, None):
        parameter["default"] = False
    if getattr(param, "prompt", None):
        parameter["required"] = True
        parameter.pop("default", None)
        if not param.secondary_opts:
            parameter["description"] = sentences(
                parameter["description"], "Must be true: without it the program asks a person to confirm"
            )


def click_value(param, context, parameter):
    item = click_item(param, context)
    long = len(parameter["flag"]) > 2
    if item.get("type") == "array":  # a tuple of its own types
        item["_tuple"] = True
    if param.nargs != 1 and "_tuple" not in item:
        item = {"type": "array", "items": item, "minItems": param.nargs, "maxItems": param.nargs}
    item.pop("_tuple", None)
    if param.multiple:
        parameter.update(type="array", items=item, arg_style="repeat")
        if item["type"] == "array":
            parameter["dashes"] = "any"
        if parameter["required"]:
            parameter["minItems"] = 1
    elif item["type"] == "array":
        parameter.update(item, arg_style="list", dashes="any")
    else:
        parameter.update(item, arg_style="value")
    if item["type"] != "array":
        parameter["separator"] = "=" if long else ""


def click_argument(param, context, innermost):
    name = property_name(param.name or "argument")
    parameter = {"name": name, "arg_style": "positional", "required": is_needed(param)}
    parameter["description"] = option_text(param)
    item = click_item(param, context)
    if param.nargs == 1 or item["type"] == "array":
        parameter.update(item)
    elif param.nargs > 1:
        parameter.update(type="array", items=item, minItems=param.nargs, maxItems=param.nargs)
    else:
        if not innermost:
            raise Skip("'%s' takes any number of words before the sub-command's name" % param.name)
        parameter.update(type="array", items=item, _unbounded=True)
        if parameter["required"]:
            parameter["minItems"] = 1
    if not innermost:
        parameter["required"] = True
    set_default(param, context, parameter)
    return [parameter]


def is_needed(param):
    """Required, or asked of a person at a terminal when it is missing: nobody is there to answer."""
    if getattr(param, "prompt", None) and getattr(param, "prompt_required", True):
        return True
    return bool(param.required) and not param.envvar


def option_text(param):
    text = prose(getattr(param, "help", None) or "")
    notes = []
    if isinstance(getattr(param, "show_default", None), str):
        notes.append("Default: %s" % param.show_default)
    names = [param.envvar] if isinstance(param.envvar, str) else list(param.envvar or ())
    if names:
        notes.append("Taken from the environment variable %s where it is not given" % " or ".join(names))
    formats = getattr(getattr(param, "type", None), "formats", None)
    if formats:
        notes.append("Format: %s" % " or ".join(map(str, formats)))
    return sentences(text, *notes)


def set_default(param, context, parameter):
    if parameter["required"]:
        return
    try:
        default = param.get_default(context, call=False)
    except Exception:
        default = param.default
    default = plain_default(default, parameter)
    kind = parameter["type"]
    if isinstance(default, list) and parameter.get("items") == {"type": "string"}:
        default = [item if isinstance(item, str) else str(item) for item in default]
    fits = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list}[kind]
    if isinstance(default, fits) and isinstance(default, bool) == (kind == "boolean") and default != []:
        if "enum" not in parameter or default in parameter["enum"]:
            parameter["default"] = default


def click_item(param, context):
    """Type, choices and bounds of one word."""
    described = getattr(param, "type_descriptor", None)
    if described is not None:
        return typer_item(param, described)
    return type_item(param.type, param, context)


def type_item(kind, param, context):
    bases = {base.__name__ for base in type(kind).__mro__}
    if "Tuple" in bases:
        items = [type_item(inner, param, context) for inner in kind.types]
        return tuple_of(items)
    if "Choice" in bases:
        return {"type": "string", "enum": click_choices(kind, context)}
    if "BoolParamType" in bases:
        return {"type": "boolean"}
    if "IntParamType" in bases or "IntRange" in bases:
        return dict({"type": "integer"}, **bounds_of(kind))
    if "FloatParamType" in bases or "FloatRange" in bases:
        return dict({"type": "number"}, **bounds_of(kind))
    if "FuncParamType" in bases:
        return {"type": kind_of(kind.func)}
    return {"type": "string"}


def tuple_of(items):
    """A fixed row of words; where they differ in type, each is text, which the program converts."""
    same = all(item == items[0] for item in items)
    item = items[0] if same and items else {"type": "string"}
    return {"type": "array", "items": item, "minItems": len(items), "maxItems": len(items)}


def click_choices(kind, context):
    import enum

    words = []
    for choice in kind.choices:
        if isinstance(choice, enum.Enum):
            # Before 8.2 only texts were choices; since then an Enum is known by its members' names.
            words.append(str(choice) if isinstance(choice, str) and not hasattr(kind, "normalize_choice") else choice.name)
        else:
            words.append(str(choice))
    return [clean(word) for word in words]


def bounds_of(kind):
    if getattr(kind, "clamp", False):
        return {}
    found = {}
    low, high = plain(getattr(kind, "min", None)), plain(getattr(kind, "max", None))
    if low is not None:
        found["exclusiveMinimum" if getattr(kind, "min_open", False) else "minimum"] = low
    if high is not None:
        found["exclusiveMaximum" if getattr(kind, "max_open", False) else "maximum"] = high
    return found


def typer_item(param, described):
    """typer's own description of a parameter's type, where it no longer uses click's."""
    annotation = described.annotation
    inner = getattr(annotation, "__args__", ()) or ()
    if getattr(described, "is_tuple", False):
        return tuple_of([{"type": "boolean" if part is bool else kind_of(part)} for part in inner])
    if getattr(described, "choices", None) is not None:
        return {"type": "string", "enum": [clean(str(getattr(c, "value", c))) for c in described.choices]}
    if getattr(described, "is_list", False):
        annotation = inner[0] if inner else str
    if getattr(described.parameter_info, "parser", None) or getattr(described.parameter_info, "click_type", None):
        return {"type": "string"}
    item = {"type": "boolean" if annotation is bool else kind_of(annotation)}
    if item["type"] in ("integer", "number") and not getattr(described.parameter_info, "clamp", False):
        item.update(bounds_of(param))
    return item
