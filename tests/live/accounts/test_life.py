"""A trade's life through the executor: signal, order, fill, stop, close; and dying in between."""

from tests.live.accounts.world import SYMBOL, World, run


def test_a_signal_becomes_an_order_a_position_with_its_stop_and_a_close():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        await world.ready(process)
        user = world.users[0]
        assert process.supervisor.signal(world.signal()) == 1
        await clock.sleep(5)
        position = world.position(user)
        assert position is not None
        assert position.size > 0
        assert position.stop_loss is not None
        assert len(world.entries(user)) == 1
        assert process.engine(user).plans[SYMBOL].stop_loss == position.stop_loss
        from engine.account.messages import Control

        close = Control(at_ms=0, action="close", actor=f"user:{user}")
        assert process.supervisor.control(user, close)
        await clock.sleep(5)
        assert not world.position(user).is_open
        assert process.engine(user).state.trades[SYMBOL].status == "over"
        stored = await world.memory.load(user)
        assert stored is not None
        assert not stored.intents
        booked = await world.memory.executions(user, 0, 100)
        assert {e.exec_id for e in booked} == {e.exec_id for e in world.account(user).executions}
        await world.end(process)

    run(main)
