//! The shape of a column's values in ClickHouse's Native format, read from its type. Only the types
//! of the column table are known; a new one fails the tests of this room, not a running program.

/// How a column's values lie in a Native block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Numbers of this many bytes, little-endian.
    Fixed(usize, Number),
    /// Texts: LEB128 length and bytes.
    Text,
    /// `LowCardinality(String)`: a dictionary and an index per row.
    Dict,
    /// `Map(LowCardinality(String), String)`.
    Map,
    /// `Map(LowCardinality(String), LowCardinality(String))`.
    DictMap,
    /// `Array(…)`, also each part of a Nested.
    List(Box<Shape>),
}

/// How a fixed number reads, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// Unsigned.
    Unsigned,
    /// Signed.
    Signed,
    /// IEEE 754.
    Float,
    /// 0 or 1.
    Bool,
}

impl Shape {
    /// The shape of ClickHouse type `ty`.
    ///
    /// # Panics
    /// When the type is not one of those in the column table.
    pub(crate) fn of(ty: &str) -> Shape {
        use Number::*;
        match ty {
            "String" => Shape::Text,
            "LowCardinality(String)" => Shape::Dict,
            "Map(LowCardinality(String), String)" => Shape::Map,
            "Map(LowCardinality(String), LowCardinality(String))" => Shape::DictMap,
            "Bool" => Shape::Fixed(1, Bool),
            "UInt8" => Shape::Fixed(1, Unsigned),
            "UInt16" => Shape::Fixed(2, Unsigned),
            "UInt32" | "DateTime" => Shape::Fixed(4, Unsigned),
            "UInt64" => Shape::Fixed(8, Unsigned),
            "UInt128" => Shape::Fixed(16, Unsigned),
            "Int32" => Shape::Fixed(4, Signed),
            "Int64" | "DateTime64(9)" => Shape::Fixed(8, Signed),
            "Float32" => Shape::Fixed(4, Float),
            "Float64" => Shape::Fixed(8, Float),
            _ => match ty.strip_prefix("Array(").and_then(|rest| rest.strip_suffix(')')) {
                Some(inner) => Shape::List(Box::new(Shape::of(inner))),
                None => panic!("the column table has a type without a shape: {ty}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Table;

    // Scenario: every type of the column table.
    // Guarantee: it has a shape.
    #[test]
    fn every_type_has_a_shape() {
        for table in Table::ALL {
            table.def().columns.iter().for_each(|column| drop(Shape::of(column.ty)));
        }
        let nested = Shape::List(Box::new(Shape::Map));
        assert_eq!(Shape::of("Array(Map(LowCardinality(String), String))"), nested);
    }
}
