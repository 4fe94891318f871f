//! Lists of all the variants of an enum that the compiler keeps complete.
//!
//! Model layer. A list written by hand forgets the variant that is added later, and with it every
//! test and every option that goes through the list.

/// An array of all variants of an enum: `every!(Type: One, Two)`, or with a name beside each,
/// `every!(Type: "one" => One, "two" => Two)`.
///
/// A variant that is left out does not compile.
macro_rules! every {
    ($type:ident: $($variant:ident),+ $(,)?) => {{
        #[expect(dead_code, reason = "only the compiler reads it: a match without a wildcard names every variant")]
        fn complete(value: &$type) {
            match value {
                $($type::$variant => (),)+
            }
        }
        [$($type::$variant),+]
    }};
    ($type:ident: $($name:literal => $variant:ident),+ $(,)?) => {{
        #[expect(dead_code, reason = "only the compiler reads it: a match without a wildcard names every variant")]
        fn complete(value: &$type) {
            match value {
                $($type::$variant => (),)+
            }
        }
        [$(($name, $type::$variant)),+]
    }};
}

/// The variants of an enum with their names, for its `impl`: `named!(2, "one" => One, "two" => Two)`
/// makes `ALL`, and `name` with the documentation before it.
macro_rules! named {
    ($(#[$doc:meta])* $count:literal, $($name:literal => $variant:ident),+ $(,)?) => {
        /// Every one of them.
        pub const ALL: [Self; $count] = [$(Self::$variant),+];

        $(#[$doc])*
        pub fn name(self) -> &'static str {
            match self {
                $(Self::$variant => $name,)+
            }
        }
    };
}

/// A word for each variant of an enum, whatever it holds: `words_of!(self, One => "one")`.
macro_rules! words_of {
    ($value:expr, $($variant:ident => $word:literal),+ $(,)?) => {
        match $value {
            $(Self::$variant { .. } => $word,)+
        }
    };
}

/// Has a type shown as the text that a method or a field of it gives: `shown!(Type: name())`.
macro_rules! shown {
    ($type:ty: $($text:tt)+) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.$($text)+.as_ref())
            }
        }
    };
}

pub(crate) use {every, named, shown, words_of};
