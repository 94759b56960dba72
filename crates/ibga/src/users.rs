//! The users of this machine, as its two text files tell. Users of a directory service are not in them; an id always works.

use std::collections::BTreeSet;

/// Where users stand: name, password, id, group id, and more, with colons between.
pub const USERS: &str = "/etc/passwd";

/// Where groups stand: name, password, id, and the names of further members.
pub const GROUPS: &str = "/etc/group";

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name to log in with.
    pub name: String,
    /// The user id.
    pub id: u32,
    /// The id of the group that the user's files get.
    pub group: u32,
}

/// The user of this name in the text of [`USERS`].
pub fn named(name: &str, users: &str) -> Option<User> {
    users.lines().filter_map(user).find(|user| user.name == name)
}

/// The user with this id in the text of [`USERS`].
pub fn with_id(id: u32, users: &str) -> Option<User> {
    users.lines().filter_map(user).find(|user| user.id == id)
}

/// The ids of all groups of a user, with the text of [`GROUPS`].
pub fn groups_of(user: &User, groups: &str) -> BTreeSet<u32> {
    let further = groups.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        let (id, members) = (fields.next()?.parse().ok()?, fields.next()?);
        members.split(',').any(|member| member.trim() == user.name).then_some(id)
    });
    further.chain([user.group]).collect()
}

fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let mut ids = fields.skip(1).map(|field| field.parse().ok());
    Some(User { name, id: ids.next()??, group: ids.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS_TEXT: &str = "root:x:0:0:root:/root:/bin/bash\n# a comment\nbroken:x:one:1\nops:x:990:985::/:/bin/false\n\ntrader:x:1001:1001:T:/home/trader:/bin/sh\n";
    const GROUPS_TEXT: &str =
        "root:x:0:\ndocker:x:985:trader, ops\ntrader:x:1001:\nbroken:x\nibga:x:990:operator,traders\n";

    #[test]
    fn users_by_name_and_id() {
        let trader = User { name: "trader".into(), id: 1001, group: 1001 };
        assert_eq!(named("trader", USERS_TEXT), Some(trader.clone()));
        assert_eq!(with_id(1001, USERS_TEXT), Some(trader));
        for (name, id) in [("broken", 1), ("trade", 100), ("", 7)] {
            assert_eq!((named(name, USERS_TEXT), with_id(id, USERS_TEXT)), (None, None));
        }
    }

    #[test]
    fn groups_by_primary_and_membership() {
        for (name, groups) in [("root", &[0][..]), ("trader", &[985, 1001]), ("ops", &[985])] {
            let user = named(name, USERS_TEXT).expect("a user");
            assert_eq!(groups_of(&user, GROUPS_TEXT), groups.iter().copied().collect());
        }
    }
}
