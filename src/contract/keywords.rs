//! The keywords of JSON Schema that have schemas within.

/// What a keyword of JSON Schema has within.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holds {
    /// Schemas by name.
    Named,
    /// A schema, or a list of them.
    Schemas,
    /// No schema.
    None,
}

/// What stands in the value of `keyword`.
pub(super) fn holds(keyword: &str) -> Holds {
    match keyword {
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas"
        | "dependencies" => Holds::Named,
        "allOf"
        | "anyOf"
        | "oneOf"
        | "prefixItems"
        | "items"
        | "additionalItems"
        | "additionalProperties"
        | "propertyNames"
        | "contains"
        | "not"
        | "if"
        | "then"
        | "else"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "contentSchema" => Holds::Schemas,
        _ => Holds::None,
    }
}
