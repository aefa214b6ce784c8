"""Where a layer's activation is in the graph: after the normalisation and the activation that directly follow."""

from collections.abc import Iterator

from torch import fx, nn

from lurk.graph.activation_function import Function
from lurk.graph.receptive.rules import BATCH_NORMS, POINTWISE, words
from lurk.graph.trace import Call, Trace, Value

NORMS = BATCH_NORMS | words("native_layer_norm native_group_norm _fused_rms_norm rms_norm")
LINEAR = words("add sub rsub mul div neg permute transpose view unsqueeze expand rsqrt pow mean")
STRAIGHT = words(
    "add sub rsub mul div neg addcdiv addcmul lerp native_dropout where masked_fill square pow sqrt rsqrt "
    "reciprocal exp log eq ne native_channel_shuffle channel_shuffle alias clone detach lift_fresh _to_copy"
)
NONLINEAR = POINTWISE - STRAIGHT
CUTTING = words("clamp clamp_min clamp_max hardtanh relu minimum maximum")
ARITHMETIC = words("add sub rsub mul div neg")
PERMUTING = words("permute transpose clone alias detach")
LONGEST = 24


class Follower:
    """Follows values through a trace."""

    def __init__(self, module: nn.Module, trace: Trace) -> None:
        self._module, self._values = module, trace.values
        self.order = {node: i for i, node in enumerate(trace.graph.nodes)}
        self._members: dict[fx.Node, list[fx.Node]] = {}
        for node in trace.graph.nodes:
            self._members.setdefault(self._creator(node), []).append(node)
        self._calls: dict[fx.Node, list[Call]] = {}
        for call in trace.calls:
            for node in dict.fromkeys(call.inputs):
                self._calls.setdefault(self._creator(node), []).append(call)
        self._inside: dict[Call, list[fx.Node]] = {}
        for node, value in trace.values.items():
            owner = value.owner
            while owner is not None:
                self._inside.setdefault(owner, []).append(node)
                owner = owner.parent

    def _value(self, node: fx.Node) -> Value | None:
        return self._values.get(node)

    def _creator(self, node: fx.Node) -> fx.Node:
        """Return the node that made the tensor that a node passes on or changes in place."""
        value = self._value(node)
        while value is not None and value.same is not None:
            node = value.same
            value = self._value(node)
        return node

    def _operations(self, node: fx.Node) -> list[str]:
        value = self._value(node)
        return [] if value is None else list(value.operations)

    def _is_passed_on(self, node: fx.Node) -> bool:
        value = self._value(node)
        return value is not None and value.shape is not None and not value.operations and value.field is not None

    def users(self, node: fx.Node) -> list[fx.Node]:
        """Return the nodes that read a value before it is changed in place, and the node that changes it, in order."""
        at = self.order[node]
        members = self._members[self._creator(node)]
        changed = [self.order[m] for m in members if self.order[m] > at and self._operations(m)]
        end = min(changed, default=len(self.order))
        found = {user for member in members for user in member.users if at < self.order[user] <= end}
        kept = [user for user in found if not self._is_ghost(user, members)]
        return sorted(kept, key=self.order.__getitem__)

    def _is_ghost(self, user: fx.Node, members: list[fx.Node]) -> bool:
        value = self._value(user)
        return value is not None and (value.static or (user in members and not value.operations))

    def after_activation(self, node: fx.Node) -> tuple[fx.Node, Function | None]:
        """Find the value after the normalisation and the activation function that directly follow.

        Args:
            node: The output of a module.

        Returns:
            The value's node, and the activation function that gives it, which may be a part of the module itself; None
            if no activation function gives it.
        """
        normed, current, best = False, node, node
        while True:
            users = self.users(current)
            if len(users) == 1 and self._is_permuted(users[0], current):
                current = users[0]
                continue
            norm = None if normed else self._norm(current, users)
            if norm is None:
                found = self._activation(current, users) or self._activation_behind(best)
                return best if found is None else found.nodes[-1], found
            normed, current, best = True, norm, norm

    def _has_shape_of(self, one: fx.Node, two: fx.Node) -> bool:
        here, there = self._value(one), self._value(two)
        return here is not None and there is not None and here.shape is not None and here.shape == there.shape

    def _is_permuted(self, one: fx.Node, two: fx.Node) -> bool:
        """Whether two values have the same axes, in the same or in another order."""
        here, there = self._value(one), self._value(two)
        if here is None or there is None or here.field is None or there.field is None:
            return False
        return PERMUTING.issuperset(self._operations(one)) and sorted(here.shape or ()) == sorted(there.shape or ())

    def _norm(self, node: fx.Node, users: list[fx.Node]) -> fx.Node | None:
        if len(users) == 1 and len(self._operations(users[0])) == 1 and self._operations(users[0])[0] in NORMS:
            return users[0] if self._has_shape_of(users[0], node) else None
        for call in self._calls.get(self._creator(node), ()):
            inside = users and all(self._is_inside(user, call) for user in users)
            if inside and call.output is not None and self._has_shape_of(call.output, node) and self._is_norm(call):
                return call.output
        return None

    def _is_inside(self, node: fx.Node, call: Call) -> bool:
        value = self._value(node)
        owner = None if value is None else value.owner
        while owner is not None and owner is not call:
            owner = owner.parent
        return owner is not None

    def _is_norm(self, call: Call) -> bool:
        done = {name for node in self._inside.get(call, ()) for name in self._operations(node)}
        named = "norm" in type(self._module.get_submodule(call.path)).__name__.lower()
        return done <= NORMS | LINEAR and (bool(done & NORMS) or named) and done != set()

    def _inputs(self, node: fx.Node) -> list[fx.Node]:
        found = [(n, self._value(n)) for n in node.all_input_nodes]
        return [n for n, value in found if value is not None and value.shape is not None and value.field is not None]

    def _activation(self, node: fx.Node, users: list[fx.Node]) -> Function | None:
        """Find the activation function that directly follows a value and is all that reads it."""
        region: list[fx.Node] = []
        if not users or (len(users) == 1 and not self._may_begin(users[0])):
            return None
        for candidate in self._after(node):
            if not self._acts_on(candidate, {node, *region}) or not self._has_shape_of(candidate, node):
                continue
            region.append(candidate)
            if self._is_complete(node, region) and any(self._is_nonlinear(member) for member in region):
                return Function(node, tuple(self._ended(region)))
        return None

    def _activation_behind(self, node: fx.Node) -> Function | None:
        """Find the activation function by which a value was made: the fewest operations on a single other value."""
        region: set[fx.Node] = set()
        newest = node
        while len(region) < LONGEST and self._is_pointwise(newest):
            region.add(newest)
            read = {self._as_read(item, member) for member in region for item in self._inputs(member)} - region
            if not read:
                return None
            newest = max(read, key=self.order.__getitem__)
            is_whole = len(read) == 1 and self._has_shape_of(newest, node)
            if is_whole and any(self._is_nonlinear(member) for member in region):
                return Function(newest, tuple(sorted(region, key=self.order.__getitem__)))
        return None

    def _as_read(self, node: fx.Node, reader: fx.Node) -> fx.Node:
        """Return the node after which a tensor has the content that another node reads."""
        first, last = self.order[node], self.order[reader]
        members = self._members[self._creator(node)]
        changes = [m for m in members if first < self.order[m] < last and self._operations(m)]
        return max(changes, key=self.order.__getitem__, default=node)

    def entering(self, function: Function) -> list[fx.Node]:
        """Return every node that stands for the value that enters an activation function."""
        last = self.order[function.before]
        members = self._members[self._creator(function.before)]
        return [m for m in members if self.order[m] <= last or not self._operations(m)]

    def name(self, function: Function) -> str:
        """Return what an activation function is called: its module, or each of its operations."""
        owners = [value.owner for node in function.nodes if (value := self._value(node)) is not None]
        call = owners[0]
        if call is not None and set(owners) == {call} and call.output is function.nodes[-1]:
            entered = {self._creator(node) for node in call.inputs}
            if self._creator(function.before) in entered:
                return type(self._module.get_submodule(call.path)).__name__.lower()
        return ", ".join(self._operation_name(node) for node in function.nodes if self._operations(node))

    def _operation_name(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return type(self._module.get_submodule(str(node.target))).__name__.lower()
        return str(getattr(node.target, "__name__", node.target)).partition(".")[0].strip("_").replace("_", "")

    def _is_nonlinear(self, node: fx.Node) -> bool:
        return bool(NONLINEAR & set(self._operations(node)))

    def _may_begin(self, node: fx.Node) -> bool:
        """Whether an activation function may begin with an operation: as relu6(x + 3) does with a number added."""
        is_shift = len(node.all_input_nodes) == 1 and ARITHMETIC.issuperset(self._operations(node))
        return is_shift or self._is_nonlinear(node)

    def _ended(self, region: list[fx.Node]) -> list[fx.Node]:
        """Add what ends an activation function written by hand: cuts, such as a clamp, and a constant factor."""
        ended, is_long = region, len(region) > 1
        while len(users := self.users(ended[-1])) == 1 and len(users[0].all_input_nodes) == 1:
            done = set(self._operations(users[0]))
            is_scaled = is_long and done in ({"mul"}, {"div"})
            if len(done) != 1 or not (is_scaled or done <= CUTTING):
                break
            ended, is_long = [*ended, users[0]], not is_scaled
        return ended

    def _after(self, node: fx.Node) -> Iterator[fx.Node]:
        following = node.next
        for _ in range(LONGEST):
            if following.op in ("root", "output"):
                return
            yield following
            following = following.next

    def _acts_on(self, node: fx.Node, known: set[fx.Node]) -> bool:
        creators = {self._creator(item) for item in known}
        inputs = self._inputs(node)
        reads = bool(inputs) and all(item in known or self._creator(item) in creators for item in inputs)
        return reads and (self._is_passed_on(node) or self._is_pointwise(node) or self._is_fixed(node))

    def _is_fixed(self, node: fx.Node) -> bool:
        """Whether an operation takes of its input only the shape, as `zeros_like` does."""
        value = self._value(node)
        return value is not None and value.shape is not None and value.field is None

    def _is_pointwise(self, node: fx.Node) -> bool:
        done = self._operations(node)
        return bool(done) and POINTWISE.issuperset(done)

    def _is_complete(self, node: fx.Node, region: list[fx.Node]) -> bool:
        inner = [node, *region[:-1]]
        return all(user in region for member in inner for user in self.users(member)) and bool(
            self._operations(region[-1])
        )

    def is_residual(self, call: Call) -> bool:
        """Whether a module's output is a sum that it makes from its own input, normalised, activated or not."""
        output = call.output
        if output is None:
            return False
        made = self._inside.get(call, ())
        sums = [node for node in made if self._is_sum(node, call) and output in self._shown(node)]
        return any(self._comes_from(node, call) for node in sums)

    def _is_sum(self, node: fx.Node, call: Call) -> bool:
        value = self._value(node)
        if value is None or value.owner is not call or node.op not in ("call_function", "call_method"):
            return False
        inputs = self._inputs(node)
        return (
            self._operations(node) == ["add"]
            and len(inputs) == 2
            and all(self._has_shape_of(item, node) for item in inputs)
        )

    def _shown(self, node: fx.Node) -> list[fx.Node]:
        shown = [node]
        for _ in range(2):
            users = self.users(shown[-1])
            if len(users) == 1 and self._is_passed_on(users[0]):
                shown.append(users[0])
        norm = self._norm(shown[-1], self.users(shown[-1]))
        shown += [] if norm is None else [norm]
        active = self._activation(shown[-1], self.users(shown[-1]))
        shown += [] if active is None else [active.nodes[-1]]
        return [
            member for item in shown for member in self._members[self._creator(item)] if self._same_value(item, member)
        ]

    def _same_value(self, one: fx.Node, two: fx.Node) -> bool:
        low, high = sorted((self.order[one], self.order[two]))
        members = self._members[self._creator(one)]
        return not any(low < self.order[m] <= high and self._operations(m) for m in members)

    def _comes_from(self, node: fx.Node, call: Call) -> bool:
        roots = set(call.inputs)
        return all(self._reaches(item, roots) for item in self._inputs(node))

    def _reaches(self, node: fx.Node, roots: set[fx.Node]) -> bool:
        first = min((self.order[root] for root in roots if root in self.order), default=len(self.order))
        seen, queue = {node}, [node]
        while queue:
            here = queue.pop()
            if here in roots:
                return True
            fresh = [n for n in here.all_input_nodes if n not in seen and self.order[n] >= first]
            seen.update(fresh)
            queue.extend(fresh)
        return False
