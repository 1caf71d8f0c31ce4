//! What values and objects of the protocol have to be, as constants say it.

/// What the members of an object have to be. Members that it does not name may be anything.
#[derive(Debug)]
pub struct Shape {
    /// The members that it names.
    pub members: &'static [Member],
    /// Of these at least one must be there, if it names any.
    pub any_of: &'static [&'static str],
}

/// One member of a [`Shape`].
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it has to be.
    pub form: Form,
    /// Whether it can be left out.
    pub need: Need,
}

/// Whether a member can be left out. `null` counts as absent, and is left out where it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It must be there.
    Required,
    /// It may be absent. If it does not fit, that is the fault of whoever wrote the object.
    Optional,
    /// The same, but nobody misses it: it is left out where it does not fit.
    Decorative,
}

/// What a value has to be.
#[derive(Debug)]
pub enum Form {
    /// Anything.
    Any,
    /// A text.
    Text,
    /// A text that stands for bytes, as base64 (RFC 4648, section 4): white space and missing padding are accepted,
    /// as clients do.
    Base64,
    /// An address with a scheme that every client can read.
    Uri,
    /// The same, written as RFC 3986 has it.
    ExactUri,
    /// The same, with letters of every script (RFC 3987).
    Iri,
    /// A template of addresses as RFC 6570 has it.
    UriTemplate,
    /// A moment as RFC 3339 writes it, with seconds and an offset.
    Time,
    /// True or false.
    Flag,
    /// A whole number from 0.
    Count,
    /// A whole number, also one that is written with a fraction of nothing.
    Whole,
    /// A number.
    Number,
    /// A number from 0 to 1.
    Fraction,
    /// A text or a whole number, by which a client finds something again.
    Token,
    /// An object with any members.
    Object,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list.
    List(&'static Form),
    /// One of these, or a list of them.
    OneOrList(&'static Form),
    /// An object whose members, whatever their names, are all of this form.
    Map(&'static Form),
    /// An object whose member `type` has one of these names, and that is of the shape beside it.
    Typed(&'static [(&'static str, &'static Shape)]),
    /// An object of this shape.
    Shape(&'static Shape),
    /// An object whose member `type` says what it is.
    Block(fn(&str) -> (BlockKind, Option<&'static Shape>)),
}

/// How old a type of content block is: clients refuse the whole result for one that their revision does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockKind {
    /// `text`, `image`, `resource`: every revision knows it.
    #[default]
    Basic,
    /// `audio`: from 2025-03-26 on.
    Audio,
    /// `resource_link`: from 2025-06-18 on.
    ResourceLink,
    /// No revision of today knows it.
    Other,
}
