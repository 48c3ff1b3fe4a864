//! What a column may hold, and how a slice of it becomes an Arrow array and back.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, PrimitiveBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float32Type, Float64Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, PrimitiveArray, StringArray};
use arrow_buffer::ArrowNativeType;
use arrow_schema::{DataType, Field};

/// A value that a column can hold.
pub trait Cell: Sized {
    /// Whether the column may hold nulls.
    const NULLABLE: bool = false;

    /// The Arrow type of the column.
    fn data_type() -> DataType;

    /// The words that the column may hold; none if it may hold any.
    fn words() -> &'static [&'static str] {
        &[]
    }

    /// One Arrow array from the cells of one column.
    fn gather<'rows>(cells: impl Iterator<Item = &'rows Self>) -> ArrayRef
    where
        Self: 'rows;

    /// The cells of an array whose type is [`Cell::data_type`] and which holds no nulls where none are allowed.
    ///
    /// # Errors
    /// The first value that is none of [`Cell::words`].
    fn scatter(array: &dyn Array) -> Result<Vec<Self>, String>;
}

macro_rules! number_cells {
    ($($native:ty => $arrow:ty),+ $(,)?) => {$(
        impl Cell for $native {
            fn data_type() -> DataType {
                <$arrow>::DATA_TYPE
            }

            fn gather<'rows>(cells: impl Iterator<Item = &'rows Self>) -> ArrayRef {
                Arc::new(PrimitiveArray::<$arrow>::from_iter_values(cells.copied()))
            }

            fn scatter(array: &dyn Array) -> Result<Vec<Self>, String> {
                Ok(array.as_primitive::<$arrow>().values().to_vec())
            }
        }

        impl Cell for Option<$native> {
            const NULLABLE: bool = true;

            fn data_type() -> DataType {
                <$arrow>::DATA_TYPE
            }

            fn gather<'rows>(cells: impl Iterator<Item = &'rows Self>) -> ArrayRef {
                Arc::new(PrimitiveArray::<$arrow>::from_iter(cells.copied()))
            }

            fn scatter(array: &dyn Array) -> Result<Vec<Self>, String> {
                Ok(array.as_primitive::<$arrow>().iter().collect())
            }
        }

        impl Cell for Vec<$native> {
            fn data_type() -> DataType {
                DataType::List(element::<$arrow>())
            }

            fn gather<'rows>(cells: impl Iterator<Item = &'rows Self>) -> ArrayRef {
                let mut lists = ListBuilder::new(PrimitiveBuilder::<$arrow>::new()).with_field(element::<$arrow>());
                for cell in cells {
                    lists.values().append_slice(cell);
                    lists.append(true);
                }
                Arc::new(lists.finish())
            }

            fn scatter(array: &dyn Array) -> Result<Vec<Self>, String> {
                let lists = array.as_list::<i32>();
                let values = lists.values().as_primitive::<$arrow>().values();
                let ends = lists.value_offsets();
                Ok(ends.windows(2).map(|end| values[end[0].as_usize()..end[1].as_usize()].to_vec()).collect())
            }
        }
    )+};
}

number_cells! {
    u16 => UInt16Type,
    u32 => UInt32Type,
    u64 => UInt64Type,
    f32 => Float32Type,
    f64 => Float64Type,
}

/// The field of a list's elements: never null, and named as the Parquet format names it.
pub(crate) fn element<T: ArrowPrimitiveType>() -> Arc<Field> {
    Arc::new(Field::new("element", T::DATA_TYPE, false))
}

/// Bytes.
impl Cell for Vec<u8> {
    fn data_type() -> DataType {
        DataType::Binary
    }

    fn gather<'rows>(cells: impl Iterator<Item = &'rows Self>) -> ArrayRef {
        Arc::new(BinaryArray::from_iter_values(cells))
    }

    fn scatter(array: &dyn Array) -> Result<Vec<Self>, String> {
        Ok(array.as_binary::<i32>().iter().map(|bytes| bytes.unwrap_or_default().to_vec()).collect())
    }
}

impl Cell for String {
    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn gather<'rows>(cells: impl Iterator<Item = &'rows Self>) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(cells))
    }

    fn scatter(array: &dyn Array) -> Result<Vec<Self>, String> {
        Ok(array.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect())
    }
}

impl Cell for Option<String> {
    const NULLABLE: bool = true;

    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn gather<'rows>(cells: impl Iterator<Item = &'rows Self>) -> ArrayRef {
        Arc::new(StringArray::from_iter(cells.map(Option::as_deref)))
    }

    fn scatter(array: &dyn Array) -> Result<Vec<Self>, String> {
        Ok(array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect())
    }
}
