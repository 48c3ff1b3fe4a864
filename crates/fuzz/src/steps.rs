//! Sets of steps, such as `0,50,100-2000/100`.

use declarations::Steps;

use crate::Target;

/// An input is the text.
pub const TARGET: Target = Target { read, seeds };

fn read(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(steps) = text.parse::<Steps>() else { return };
    assert!(steps.as_slice().is_sorted_by(|one, next| one < next));
    // Writing many takes long, and is no other code than writing some.
    if steps.count() > 20_000 {
        return;
    }
    let written = steps.to_string();
    assert_eq!(written.parse::<Steps>().as_ref(), Ok(&steps), "`{written}` is not what `{text}` is");
    let _ = (steps.is_log_spaced(), steps.first_middle_last(), steps.up_to(1000));
}

fn seeds() -> Vec<Vec<u8>> {
    ["0,50,100-2000/100", "0,1-512*2,1000-143000/1000", "2, 0, 1-2", "1-27*3", "2000000000-4294967295*3", "0-900", ""]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}
