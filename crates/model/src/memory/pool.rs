//! Things of equal size that several may use.

/// Numbered things, and how many use each.
#[derive(Debug)]
pub struct Pool {
    n: usize,
    free: Vec<u32>,
    users: Vec<u32>,
}

impl Pool {
    /// `n` things, all free.
    pub fn new(n: usize) -> Self {
        Self { n, free: Vec::new(), users: Vec::new() }
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Number of free ones.
    pub fn n_free(&self) -> usize {
        self.n - self.users.len() + self.free.len()
    }

    /// One that was free, such as was used before where there is one.
    pub fn take(&mut self) -> Option<u32> {
        let taken = match self.free.pop() {
            Some(taken) => taken,
            None if self.users.len() < self.n => {
                self.users.push(0);
                u32::try_from(self.users.len() - 1).ok()?
            }
            None => return None,
        };
        self.users[taken as usize] = 1;
        Some(taken)
    }

    /// One more uses it.
    pub fn share(&mut self, thing: u32) {
        self.users[thing as usize] += 1;
    }

    /// How many use it.
    pub fn n_users(&self, thing: u32) -> u32 {
        self.users[thing as usize]
    }

    /// Whether more than one use it.
    pub fn is_shared(&self, thing: u32) -> bool {
        self.n_users(thing) > 1
    }

    /// Whether fewer than `n` are free, and one more for a copy of `own` while that is shared.
    pub fn is_short(&self, n: usize, own: Option<u32>) -> bool {
        let is_shared = own.is_some_and(|own| self.is_shared(own));
        self.n_free() < n + usize::from(is_shared)
    }

    /// One less uses it.
    pub fn give_back(&mut self, thing: u32) {
        let users = &mut self.users[thing as usize];
        *users -= 1;
        if *users == 0 {
            self.free.push(thing);
        }
    }
}
