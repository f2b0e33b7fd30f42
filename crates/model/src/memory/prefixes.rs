//! What was seen, found by its tokens, so that others can go on from it.
//!
//! A tree as in `RadixAttention` (Zheng et al. 2024, <https://arxiv.org/abs/2312.07104>), whose
//! edges are pages: a node stands for all tokens on the way to it. It holds the page of the last of
//! them and, for models with states, may hold a snapshot of these. Only a leaf's page may be
//! unfilled.

use backend::PAGE;

/// A node of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeId(u32);

/// Nothing seen: where all texts begin.
pub const ROOT: NodeId = NodeId(0);

/// The tree.
#[derive(Debug)]
pub struct Prefixes {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    /// Goes on with each use.
    clock: u64,
}

#[derive(Debug)]
struct Node {
    parent: NodeId,
    children: Vec<NodeId>,
    tokens: Box<[u32]>,
    /// Pages on the way to it.
    depth: u32,
    pages: Pages,
    /// Slot of the states after these tokens.
    snapshot: Option<u32>,
    /// Whether a text other than the one that made it went on from here.
    is_fork: bool,
    used: u64,
}

/// Where a page of positions is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// In the stores of layers that keep all positions.
    pub all: u32,
    /// In those of layers on sliding windows, as long as that is kept.
    pub recent: Option<u32>,
}

/// The pages that begin as a text does.
#[derive(Debug, Default)]
pub struct Found {
    /// Nodes whose pages the text fills, from the first on.
    pub path: Vec<NodeId>,
    /// A node after them that begins as the text goes on, and how many tokens of it do.
    pub part: Option<(NodeId, usize)>,
}

impl Found {
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.path.len() * PAGE + self.part.map_or(0, |(_, n)| n)
    }

    /// All nodes, in the order of positions.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator {
        let n_nodes = self.path.len() + usize::from(self.part.is_some());
        let part = self.part.map_or(ROOT, |(node, _)| node);
        (0..n_nodes).map(move |i| self.path.get(i).copied().unwrap_or(part))
    }
}

/// What a node has held.
#[derive(Debug, PartialEq, Eq)]
pub struct Evicted {
    /// Its page.
    pub pages: Pages,
    /// Slot of its snapshot.
    pub snapshot: Option<u32>,
}

impl Prefixes {
    /// A tree of nothing but its root.
    pub fn new() -> Self {
        Self { nodes: vec![Node::root()], free: Vec::new(), clock: 0 }
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// Where the page of a node is.
    pub fn pages(&self, id: NodeId) -> Pages {
        self.node(id).pages
    }

    /// The tokens of a node's page.
    pub fn tokens(&self, id: NodeId) -> &[u32] {
        &self.node(id).tokens
    }

    /// Slot of the states after a node's tokens.
    pub fn snapshot(&self, id: NodeId) -> Option<u32> {
        self.node(id).snapshot
    }

    /// The node `n` pages before.
    pub fn ancestor(&self, id: NodeId, n: usize) -> NodeId {
        (0..n).fold(id, |id, _| self.node(id).parent)
    }

    /// The longest way along a text.
    pub fn find(&self, mut tokens: &[u32]) -> Found {
        let mut found = Found::default();
        let mut at = ROOT;
        loop {
            let children = self.node(at).children.iter();
            let common = children.map(|&child| (child, common(&self.node(child).tokens, tokens)));
            match common.max_by_key(|&(_, n)| n) {
                Some((child, PAGE)) => {
                    found.path.push(child);
                    (at, tokens) = (child, &tokens[PAGE..]);
                }
                Some((child, n)) if n > 0 => return Found { part: Some((child, n)), ..found },
                _ => return found,
            }
        }
    }

    /// Marks a node, and those before it, as used just now by a text that goes on from here.
    pub fn resume(&mut self, id: NodeId) {
        self.node_mut(id).is_fork = true;
        self.touch(id);
    }

    fn touch(&mut self, mut id: NodeId) {
        self.clock += 1;
        let now = self.clock;
        while id != ROOT {
            self.node_mut(id).used = now;
            id = self.node(id).parent;
        }
    }

    /// The node with these tokens after `parent`, if there is one already.
    pub fn child(&self, parent: NodeId, tokens: &[u32]) -> Option<NodeId> {
        let mut children = self.node(parent).children.iter().copied();
        children.find(|&child| *self.node(child).tokens == *tokens)
    }

    /// The node after `parent` whose page begins with these tokens, if there is one.
    pub fn child_that_begins(&self, parent: NodeId, tokens: &[u32]) -> Option<NodeId> {
        let mut children = self.node(parent).children.iter().copied();
        children.find(|&child| self.node(child).tokens.starts_with(tokens))
    }

    /// Adds a node after `parent`. One whose page began the same, and was not filled, gives way to
    /// it and is returned.
    pub fn insert(
        &mut self,
        parent: NodeId,
        tokens: &[u32],
        pages: Pages,
    ) -> (NodeId, Option<Evicted>) {
        let mut children = self.node(parent).children.iter().copied();
        let shorter = children.find(|&child| tokens.starts_with(&self.node(child).tokens));
        let evicted = shorter.map(|shorter| self.remove(shorter));
        let depth = self.node(parent).depth + 1;
        let tokens = tokens.into();
        let node = Node { parent, tokens, depth, pages, ..Node::root() };
        let id = match self.free.pop() {
            Some(id) => {
                *self.node_mut(id) = node;
                id
            }
            None => {
                self.nodes.push(node);
                NodeId((self.nodes.len() - 1) as u32)
            }
        };
        self.node_mut(parent).children.push(id);
        self.touch(id);
        (id, evicted)
    }

    /// Keeps a snapshot of the states after a node; returns whether it had none.
    pub fn keep(&mut self, id: NodeId, slot: u32) -> bool {
        let node = self.node_mut(id);
        let had_none = node.snapshot.is_none();
        node.snapshot.get_or_insert(slot);
        had_none
    }

    /// Keeps a node's page of layers on sliding windows, of which it has none.
    pub fn keep_recent(&mut self, id: NodeId, page: u32) {
        self.node_mut(id).pages.recent = Some(page);
    }

    /// Takes a node's snapshot away, unless other texts went on from there.
    pub fn drop_snapshot(&mut self, id: NodeId) -> Option<u32> {
        let node = self.node_mut(id);
        if node.is_fork || node.children.len() > 1 { None } else { node.snapshot.take() }
    }

    /// Removes the leaf that was not used for the longest time, of those whose page nobody else has.
    pub fn evict(&mut self, is_shared: impl Fn(u32) -> bool) -> Option<Evicted> {
        let leaf = |node: &Node| node.children.is_empty() && !is_shared(node.pages.all);
        self.oldest(leaf).map(|id| self.remove(id))
    }

    /// Removes a node that none goes on from and whose page nobody else has.
    pub fn remove_leaf(&mut self, id: NodeId, is_shared: impl Fn(u32) -> bool) -> Option<Evicted> {
        let node = self.node(id);
        (node.children.is_empty() && !is_shared(node.pages.all)).then(|| self.remove(id))
    }

    /// Takes the snapshot away that was not used for the longest time, of those nobody else has.
    pub fn evict_snapshot(&mut self, is_shared: impl Fn(u32) -> bool) -> Option<u32> {
        let own = |node: &Node| node.snapshot.is_some_and(|slot| !is_shared(slot));
        let id = self.oldest(own)?;
        self.node_mut(id).snapshot.take()
    }

    /// Takes a page of layers on sliding windows away, of those nobody else has: that of the text that
    /// was not used for the longest time, and the first of it, as texts go on at their ends.
    pub fn evict_recent(&mut self, is_shared: impl Fn(u32) -> bool) -> Option<u32> {
        let own = |node: &Node| node.pages.recent.is_some_and(|page| !is_shared(page));
        let id = self.oldest(own)?;
        self.node_mut(id).pages.recent.take()
    }

    /// Number of nodes whose page nobody else has.
    pub fn n_unused(&self, is_shared: impl Fn(u32) -> bool) -> usize {
        self.live().filter(|(_, node)| !is_shared(node.pages.all)).count()
    }

    fn live(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        let nodes = (0..).map(NodeId).zip(&self.nodes);
        nodes.skip(1).filter(|(_, node)| !node.tokens.is_empty())
    }

    fn oldest(&self, suits: impl Fn(&Node) -> bool) -> Option<NodeId> {
        let suitable = self.live().filter(|(_, node)| suits(node));
        suitable.min_by_key(|(_, node)| (node.used, node.depth)).map(|(id, _)| id)
    }

    fn remove(&mut self, id: NodeId) -> Evicted {
        let node = std::mem::replace(self.node_mut(id), Node::root());
        self.node_mut(node.parent).children.retain(|&child| child != id);
        self.free.push(id);
        Evicted { pages: node.pages, snapshot: node.snapshot }
    }
}

impl Node {
    fn root() -> Self {
        Self {
            parent: ROOT,
            children: Vec::new(),
            tokens: [].into(),
            depth: 0,
            pages: Pages { all: 0, recent: None },
            snapshot: None,
            is_fork: false,
            used: 0,
        }
    }
}

fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(page: u32) -> Pages {
        Pages { all: page, recent: None }
    }

    fn page(of: u32) -> Vec<u32> {
        (0..PAGE as u32).map(|i| of * 1000 + i).collect()
    }

    #[test]
    fn finds_whole_pages_and_a_part() {
        let mut tree = Prefixes::new();
        let (a, _) = tree.insert(ROOT, &page(1), at(7));
        let (b, _) = tree.insert(a, &page(2), at(8));
        let (c, _) = tree.insert(a, &page(3)[..10], at(9));
        let text = [page(1), page(2), page(4)].concat();
        let found = tree.find(&text);
        assert_eq!((found.path, found.part), (vec![a, b], None));
        let text = [page(1), page(2)[..5].to_vec(), page(4)].concat();
        let found = tree.find(&text);
        assert_eq!((found.path, found.part), (vec![a], Some((b, 5))));
        let text = [page(1), page(3)].concat();
        let found = tree.find(&text);
        assert_eq!((found.path, found.part), (vec![a], Some((c, 10))));
        assert_eq!(tree.find(&page(9)).path, vec![]);
        assert_eq!(tree.ancestor(b, 1), a);
        assert_eq!(tree.ancestor(b, 2), ROOT);
    }

    #[test]
    fn a_filled_page_replaces_its_beginning() {
        let mut tree = Prefixes::new();
        let (short, _) = tree.insert(ROOT, &page(1)[..10], at(7));
        tree.keep(short, 3);
        let (whole, evicted) = tree.insert(ROOT, &page(1), at(8));
        assert_eq!(evicted, Some(Evicted { pages: at(7), snapshot: Some(3) }));
        assert_eq!(tree.find(&page(1)).path, vec![whole]);
    }

    #[test]
    fn leaves_go_by_age_and_only_unshared() {
        let mut tree = Prefixes::new();
        let (a, _) = tree.insert(ROOT, &page(1), at(1));
        tree.insert(a, &page(2), at(2));
        tree.insert(ROOT, &page(3), at(3));
        tree.insert(ROOT, &page(4), at(4));
        tree.resume(a);
        assert_eq!(tree.n_unused(|page| page == 3), 3);
        let mut evict = || tree.evict(|page| page == 3).map(|evicted| evicted.pages.all);
        assert_eq!([evict(), evict(), evict(), evict()], [Some(2), Some(4), Some(1), None]);
    }

    #[test]
    fn snapshots_of_forks_stay() {
        let mut tree = Prefixes::new();
        let (a, _) = tree.insert(ROOT, &page(1), at(1));
        let (b, _) = tree.insert(a, &page(2), at(2));
        assert!(tree.keep(a, 10) && tree.keep(b, 11) && !tree.keep(b, 12));
        tree.resume(a);
        assert_eq!((tree.drop_snapshot(a), tree.drop_snapshot(b)), (None, Some(11)));
        assert_eq!(tree.evict_snapshot(|slot| slot == 10), None);
        assert_eq!(tree.evict_snapshot(|_| false), Some(10));
    }
}
