//! Values that levels of the non-linear types stand for.
//!
//! The grid types (IQ1, IQ2, IQ3) store groups of values as the index of a point in a codebook: of
//! all points of a lattice, those that weights of models are near to most often. Points are kept
//! as codes of two or three bits per coordinate and spread to one byte each when compiled.

mod codes;

/// Levels of IQ4_NL and IQ4_XS.
pub static IQ4: [i8; 16] =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// Twice the value of each E2M1 number, the elements of MXFP4 and NVFP4 (OCP Microscaling Formats
/// 1.0, section 5.3.3).
pub static E2M1_DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// Magnitudes of IQ2_XXS, groups of eight.
pub static IQ2_XXS: [[i8; 8]; 256] = spread(&codes::IQ2_XXS, &IQ2_LEVELS);

/// Magnitudes of IQ2_XS, groups of eight.
pub static IQ2_XS: [[i8; 8]; 512] = spread(&codes::IQ2_XS, &IQ2_LEVELS);

/// Magnitudes of IQ2_S, groups of eight.
pub static IQ2_S: [[i8; 8]; 1024] = spread(&codes::IQ2_S, &IQ2_LEVELS);

/// Magnitudes of IQ3_XXS, groups of four.
pub static IQ3_XXS: [[i8; 4]; 256] = spread(&codes::IQ3_XXS, &[4, 12, 20, 28, 36, 44, 52, 62]);

/// Magnitudes of IQ3_S, groups of four.
pub static IQ3_S: [[i8; 4]; 512] = spread(&codes::IQ3_S, &[1, 3, 5, 7, 9, 11, 13, 15]);

/// Ternary values of IQ1_S and IQ1_M, groups of eight.
pub static IQ1: [[i8; 8]; 2048] = spread(&codes::IQ1, &[-1, 0, 1]);

const IQ2_LEVELS: [i8; 3] = [8, 25, 43];

/// The signs of eight values, a set bit for a negative one, from the seven that are stored: their
/// number is even.
pub fn even_signs(stored: u8) -> u8 {
    stored | (stored.count_ones() as u8 & 1) << 7
}

/// The points that codes stand for.
const fn spread<const LEN: usize, const COUNT: usize>(
    codes: &[u16; COUNT],
    levels: &[i8],
) -> [[i8; LEN]; COUNT] {
    let bits = if levels.len() > 4 { 3 } else { 2 };
    let mut points = [[0; LEN]; COUNT];
    let mut at = 0;
    while at < COUNT {
        let mut i = 0;
        while i < LEN {
            let level = (codes[at] >> (bits * i)) & ((1 << bits) - 1);
            points[at][i] = levels[level as usize];
            i += 1;
        }
        at += 1;
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_distinct() {
        fn distinct<const LEN: usize>(points: &[[i8; LEN]]) -> bool {
            let set: std::collections::HashSet<_> = points.iter().collect();
            set.len() == points.len()
        }
        assert!(distinct(&IQ2_XXS) && distinct(&IQ2_XS) && distinct(&IQ2_S));
        assert!(distinct(&IQ3_XXS) && distinct(&IQ3_S) && distinct(&IQ1));
    }

    #[test]
    fn points_of_iq2_have_an_even_sum_of_levels() {
        let levels =
            |point: &[i8; 8]| point.iter().map(|&value| i32::from(value) / 17).sum::<i32>();
        for point in IQ2_XXS.iter().chain(&IQ2_XS).chain(&IQ2_S) {
            assert_eq!(levels(point) % 2, 0, "{point:?}");
        }
    }

    #[test]
    fn signs_are_even_and_keep_what_is_stored() {
        for stored in 0..128 {
            let signs = even_signs(stored);
            assert_eq!(signs & 127, stored);
            assert_eq!(signs.count_ones() % 2, 0);
        }
    }
}
