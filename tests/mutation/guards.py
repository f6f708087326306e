"""The guards: where each stands, what its absence looks like, and which tests must then fail."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """One guard. `text` stands once in `file`, and with `instead` in its place the guard is gone."""

    name: str
    file: str  # below syncer/
    text: str
    instead: str
    tests: tuple[str, ...]  # below tests/; each must fail


class GuardGoneError(Exception):
    """The text a guard is known by does not stand once where it should: the list is out of date."""


def mutated(guard: Guard, text: str) -> str:
    """The file's text without the guard. Raises GuardGoneError."""
    found = text.count(guard.text)
    if found != 1:
        raise GuardGoneError(f"{guard.name}: its text stands {found} times in {guard.file}:\n{guard.text}")
    return text.replace(guard.text, guard.instead)


BAD = "fault/test_storage_faults.py::test_a_bad_answer"
REST = "fault/test_storage_faults.py::test_a_bad_answer_to_a_request_for_the_rest"
STORAGE = "fault/test_storage_faults.py::"
DISK = "fault/test_destination_faults.py::"
SEGMENTS = "fault/test_segment_faults.py::"
HELPER = "fault/test_helper_faults.py::"
CHILDREN = "fault/test_children_faults.py::"

GUARDS = (
    # What is asked for.
    Guard(
        "If-Range",
        "core/resume.py",
        'return asked | ({"If-Range": self.if_range} if self.if_range else {})',
        "return asked",
        ("integration/test_main_job.py::test_a_cut_transfer_goes_on_where_it_stopped",),
    ),
    Guard(
        "no weak validator in If-Range (RFC 9110 §13.1.5)",
        "core/resume.py",
        "return etag is not None and etag.startswith('\"')",
        "return etag is not None",
        ("unit/test_resume.py::test_only_a_strong_validator_goes_into_if_range",),
    ),
    Guard(
        "overlap asked for",
        "core/resume.py",
        "    overlap = min(OVERLAP, on_disk)\n",
        "    overlap = 0\n",
        (f"{REST}[another version, without a sign]",),
    ),
    # What came back.
    Guard(
        "Content-Range: the first byte",
        "core/resume.py",
        "    if span.first != asked.start:\n",
        "    if False:\n",
        (f"{REST}[a part that begins elsewhere]",),
    ),
    Guard(
        "Content-Range: the last byte",
        "core/resume.py",
        "    if span.last != promise.size - 1:\n",
        "    if False:\n",
        ("unit/test_resume.py::test_what_is_good_for_nothing_says_why",),
    ),
    Guard(
        "Content-Range: the total",
        "core/resume.py",
        "        (held.size, total),\n",
        "",
        (f"{REST}[a longer version, without a sign]",),
    ),
    Guard(
        "Content-Range: a total of `*` proves no end",
        "core/resume.py",
        '        return AskAgain("the storage did not say where the file ends")\n',
        "        promise = Promise(span.last + 1, promise.etag)\n",
        ("unit/test_resume.py::test_a_part_of_unknown_total_proves_no_end_of_a_file_of_unknown_size",),
    ),
    Guard(
        "ETag of the parts",
        "core/resume.py",
        "        (held.etag, answer.etag),\n",
        "",
        ("unit/test_resume.py::test_another_version_or_no_such_range_drops_the_partial",),
    ),
    Guard(
        "416: only a partial that is whole is one",
        "core/resume.py",
        "    if proven and on_disk == held.size and not",
        "    if proven and not",
        (f"{REST}[416]",),
    ),
    Guard(
        "media type",
        "core/resume.py",
        "    if answer.content_type and is_document(answer.content_type):\n",
        "    if False:\n",
        (f"{BAD}[a page of text with status 200]", f"{BAD}[a page of empty with status 200]"),
    ),
    Guard(
        "Content-Encoding",
        "core/resume.py",
        "    if answer.encoding:\n",
        "    if False:\n",
        (f"{BAD}[an encoding nobody asked for]",),
    ),
    Guard(
        "size limit, promised",
        "core/resume.py",
        "    if most is not None and promise.size is not None and promise.size > most:\n",
        "    if False:\n",
        (f"{STORAGE}test_a_file_larger_than_allowed_costs_no_byte_and_comes_when_it_is_allowed",),
    ),
    Guard(
        "size limit, sent",
        "runner/intake.py",
        "            if len(view) > self._most:\n",
        "            if False:\n",
        ("unit/test_intake.py::test_a_body_larger_than_allowed_is_cut_off",),
    ),
    # What the bytes are.
    Guard(
        "overlap compared",
        "runner/intake.py",
        "        if view[:count] != self._tail[:count]:\n",
        "        if False:\n",
        (
            f"{REST}[another version, without a sign]",
            f"{STORAGE}test_bytes_that_changed_on_disk_are_found_by_the_overlap",
        ),
    ),
    Guard(
        "overlap compared to its end",
        "runner/intake.py",
        '            raise FileChanged("The file at the storage ends before what is on disk already.")\n',
        "            pass\n",
        ("unit/test_intake.py::test_a_body_that_ends_within_the_overlap_is_another_file",),
    ),
    Guard(
        "sniffing: pages",
        "runner/intake.py",
        "        if openings.looks_like_page(opening):\n",
        "        if False:\n",
        (f"{BAD}[html that calls itself a video]", "unit/test_intake.py::test_a_page_is_never_written"),
    ),
    Guard(
        "sniffing: text",
        "runner/intake.py",
        "        if openings.is_text(opening):\n",
        "        if False:\n",
        (f"{BAD}[text that calls itself a video]",),
    ),
    Guard(
        "sniffing: other kinds of files",
        "runner/intake.py",
        "        if kind is not None and openings.belies(kind):\n",
        "        if False:\n",
        (f"{BAD}[zipped that calls itself a video]", f"{BAD}[picture that calls itself a video]"),
    ),
    Guard(
        "no more bytes than promised",
        "runner/intake.py",
        "            if len(view) > self._room:\n",
        "            if False:\n",
        ("unit/test_intake.py::test_a_body_longer_than_promised_is_cut_off",),
    ),
    # Whether they are all there.
    Guard(
        "length, on the wire",
        "transfer/exchange.py",
        "        if expected is not None and count < expected:\n",
        "        if False:\n",
        (f"{BAD}[without a length and cut]",),
    ),
    Guard(
        "length, of the whole",
        "core/resume.py",
        "    if promise.size is not None and size != promise.size:\n",
        "    if False:\n",
        ("unit/test_resume.py::test_wholeness_is_length_and_checksum",),
    ),
    Guard(
        "an end that nothing proves",
        "transfer/exchange.py",
        "        if expected is None and not answer.chunked:\n",
        "        if False:\n",
        (f"{BAD}[without any sign of its length]",),
    ),
    Guard(
        "checksum",
        "core/resume.py",
        "        if promised is not None and name in digests and digests[name] != promised:\n",
        "        if False:\n",
        (
            f"{BAD}[a checksum of other bytes, goog]",
            f"{BAD}[a checksum of other bytes, content-md5]",
            f"{BAD}[the end missing and the length right for the rest, goog-crc32c]",
            f"{STORAGE}test_a_416_for_a_whole_partial_of_other_bytes_is_not_published",
        ),
    ),
    Guard(
        "Amazon's ETag as a checksum",
        "transfer/head.py",
        " or _etag_md5(headers),\n",
        ",\n",
        (f"{BAD}[a checksum of other bytes, s3]",),
    ),
    Guard(
        "Amazon's ETag only where it is an MD5",
        "transfer/head.py",
        "    return match[1] if plain else None\n",
        "    return match[1]\n",
        (f"{STORAGE}test_an_etag_that_only_looks_like_an_md5_is_no_checksum",),
    ),
    Guard(
        "an empty body proves nothing",
        "core/resume.py",
        "    if size == 0 and promise.md5 is None and promise.crc32c is None:\n",
        "    if False:\n",
        (f"{BAD}[empty that calls itself a video]",),
    ),
    # Where requests go.
    Guard(
        "from https to http no redirect is followed",
        "transfer/redirects.py",
        '    if here.scheme == "https" and there.scheme == "http":\n',
        "    if False:\n",
        (
            "integration/test_fetch.py::test_from_https_to_http_no_redirect_is_followed",
            "unit/test_transfer_redirects.py::test_refused",
        ),
    ),
    Guard(
        "so many redirects",
        "transfer/redirects.py",
        "    if len(seen) > MOST:\n",
        "    if False:\n",
        (f"{BAD}[redirected too often]",),
    ),
    Guard(
        "the range goes along to every host",
        "transfer/fetcher.py",
        "await self._send(seen[-1], ask), seen[-1].host",
        "await self._send(seen[-1], Ask()), seen[-1].host",
        ("integration/test_fetch.py::test_a_redirect_to_another_host_carries_the_range_and_nothing_else",),
    ),
    Guard(
        "certificates are verified",
        "transfer/fetcher.py",
        "httpx.create_ssl_context()",
        "httpx.create_ssl_context(verify=False)",
        ("integration/test_fetch.py::test_https_without_its_authority_is_not_spoken",),
    ),
    Guard(
        "links stay out of what is printed",
        "core/model.py",
        "    url: str = field(repr=False)\n",
        "    url: str = field()\n",
        ("unit/test_links.py::test_the_link_stays_out_of_repr",),
    ),
    Guard(
        "the key stays with the API",
        "videodb/client.py",
        "timeout=self._timeout, follow_redirects=False,",
        "timeout=self._timeout, follow_redirects=True,",
        ("integration/test_api_client.py::test_a_redirect_is_refused_and_the_key_goes_nowhere",),
    ),
    # What is written down.
    Guard(
        "relink before lost",
        "runner/worker.py",
        "                if fresh:\n                    return await self._relinker.give_up(claim, error.message)\n",
        "                if True:\n                    return await self._relinker.give_up(claim, error.message)\n",
        (f"{STORAGE}test_a_withdrawn_link_is_renewed_though_it_says_that_it_lives",),
    ),
    Guard(
        "an estimated death sends nobody to the API",
        "core/relinking.py",
        "    if link.estimated or link.expires_at is None:\n",
        "    if link.expires_at is None:\n",
        ("unit/test_relinking.py::test_what_a_link_does_not_say_itself_sends_nobody_to_the_api",),
    ),
    Guard(
        "lost stays lost under the same link",
        "core/lifecycle.py",
        "    if new.url == refused.url:\n        return False\n",
        "",
        ("integration/test_main_job.py::test_a_lost_job_stays_lost_while_the_list_shows_the_same_dead_link",),
    ),
    Guard(
        "the moment that a storage names",
        "core/retry.py",
        "    if error.retry_after is not None and error.retry_after > now:\n",
        "    if False:\n",
        ("integration/test_main_job.py::test_a_storage_that_asks_for_more_time_than_a_pass_has_is_left_in_peace",),
    ),
    Guard(
        "a partial that cannot be trusted is dropped",
        "runner/fetch.py",
        "            if not error.keep_partial:\n",
        "            if False:\n",
        (f"{BAD}[a checksum of other bytes, goog]",),
    ),
    Guard(
        "a range that is never answered right ends in the whole file",
        "runner/fetch.py",
        "            if asked.is_whole or claim.entry.tries < min(FRUITLESS, self._rules.policy.tries):\n",
        "            if True:\n",
        (f"{REST}[multipart/byteranges]",),
    ),
    Guard(
        "a pass that does not balance says so",
        "core/report.py",
        "    return listing.jobs == jobs.total\n",
        "    return True\n",
        ("unit/test_core_small.py::TestReport::test_what_does_not_balance_is_never_well",),
    ),
    Guard(
        "one pass at a time",
        "ledger/lock.py",
        "            self._lock.acquire(timeout=patience)\n",
        "            pass\n",
        ("unit/test_ledger_lock.py::test_a_pass_elsewhere_holds_the_ledger",),
    ),
    Guard(
        "claim fence",
        "ledger/claims.py",
        '        entries.c.claim == sa.bindparam("held_token", type_=entries.c.claim.type),\n',
        "",
        ("contract/test_ledger_contract.py::test_a_dead_pass_claims_are_taken_back_and_it_writes_no_more",),
    ),
    Guard(
        "a found file is proven before it counts as stored",
        "runner/worker.py",
        "        if resume.check_whole(entry.promise, size, digests) is not None:\n",
        "        if False:\n",
        ("fault/test_guards.py::test_a_file_of_other_bytes_under_a_reserved_name_is_not_taken_for_ours",),
    ),
    # The destination.
    Guard(
        "marker: there",
        "destination/marker.py",
        "        if marker is None:\n            raise",
        "        if marker is None:\n            return\n            raise",
        ("unit/test_destination_marker.py::test_nothing_is_written_where_the_mount_was",),
    ),
    Guard(
        "marker: ours",
        "destination/marker.py",
        "        if marker.id != destination_id:\n",
        "        if False:\n",
        ("unit/test_destination_marker.py::test_proof_says_where_it_looked_and_the_way_out",),
    ),
    Guard(
        "marker: looked at before every piece of work",
        "destination/marker.py",
        "            self._check(fd, destination_id)\n        except BaseException:\n",
        "            pass\n        except BaseException:\n",
        ("unit/test_destination_marker.py::test_nothing_is_written_where_the_mount_was",),
    ),
    Guard(
        "floor of free space",
        "destination/room.py",
        "            if self._lacks(count, fd):\n",
        "            if False:\n",
        ("unit/test_space.py::test_bytes_are_set_aside_for_files_of_known_size",),
    ),
    Guard(
        "fsync of the file, before its name",
        "destination/partial.py",
        "            os.fsync(self._fd)\n",
        "",
        ("unit/test_destination_system.py::test_fsync_link_fsync_of_the_folder_in_that_order",),
    ),
    Guard(
        "fsync of the folder, before the old name goes",
        "destination/publish.py",
        "        await hands.together(folders.sync, folder)\n",
        "",
        ("unit/test_destination_system.py::test_fsync_link_fsync_of_the_folder_in_that_order",),
    ),
    Guard(
        "a failed fsync spoils the partial",
        "destination/partial.py",
        "            self._own = os.fstat(self._fd)\n        except OSError:\n            self._spoil()\n",
        "            self._own = os.fstat(self._fd)\n        except OSError:\n",
        ("unit/test_destination_partial.py::test_a_failed_fsync_spoils_the_partial",),
    ),
    Guard(
        "nothing is replaced",
        "destination/system.py",
        "    if size_at(target[0], target[1]) is not None:\n",
        "    if False:\n",
        ("unit/test_destination_partial.py::test_without_hard_links_a_look_and_a_rename_do",),
    ),
    Guard(
        "a published file is no partial",
        "destination/opening.py",
        "    if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:\n",
        "    if stat.S_ISREG(found.st_mode):\n",
        ("unit/test_destination_partial.py::test_a_partial_that_is_a_published_file_already_is_left_to_its_reader",),
    ),
    Guard(
        "no path leads out of the destination",
        "destination/publish.py",
        "    if unsafe or parts[0].casefold() == PRIVATE:\n",
        "    if False:\n",
        ("unit/test_destination_partial.py::test_paths_that_do_not_stay_inside_are_a_bug",),
    ),
    # Connections that are used again.
    Guard(
        "nothing unread on a kept connection",
        "transfer/wire.py",
        "        return bool(poll.poll(0))\n",
        "        return False\n",
        ("integration/test_fetch.py::test_what_a_thread_leaves_behind_a_body_is_not_the_next_answer[http]",),
    ),
    Guard(
        "nothing unasked for on a kept connection",
        "transfer/wire.py",
        "        return self._has_more()\n",
        "        return self._loop is None and self._has_more()\n",
        ("unit/test_transfer_wire.py::test_what_came_unasked_is_seen_though_the_event_loop_had_no_turn_since",),
    ),
    Guard(
        "what nobody reads keeps nobody busy",
        "transfer/wire.py",
        "            if self._has_more():  # ",
        "            if False:  # ",
        ("unit/test_transfer_wire.py::test_an_end_that_nobody_waits_for_keeps_nobody_busy",),
    ),
    Guard(
        "nothing unread within TLS",
        "transfer/wire.py",
        "        if self._tls is not None and self._tls.pending():\n",
        "        if False:\n",
        ("integration/test_fetch.py::test_what_a_thread_leaves_behind_a_body_is_not_the_next_answer[https]",),
    ),
    Guard(
        "nothing behind the last chunk",
        "transfer/wire_head.py",
        "        return not self._h11.trailing_data[0]\n",
        "        return True\n",
        ("unit/test_transfer_transport.py::test_what_is_read_behind_a_body_ends_the_connection[chunked]",),
    ),
    Guard(
        "nothing behind Content-Length",
        "transfer/wire_head.py",
        "        self.is_clean = self.is_clean and len(mine) == len(data)\n",
        "",
        ("unit/test_transfer_transport.py::test_what_is_read_behind_a_body_ends_the_connection[counted]",),
    ),
    Guard(
        "two framings at once",
        "transfer/wire_head.py",
        ' and not {b"content-length", b"transfer-encoding"} <= names,\n',
        ",\n",
        ("unit/test_transfer_transport.py::test_of_a_server_that_frames_twice_nothing_further_is_believed",),
    ),
    Guard(
        "asked again only where no byte of an answer came",
        "transfer/transport.py",
        "                    if dialogue.heard:\n",
        "                    if False:\n",
        ("unit/test_transfer_transport.py::test_an_answer_that_had_begun_is_not_asked_for_again",),
    ),
    Guard(
        "a thread is waited for, however often one is cancelled",
        "transfer/pouring.py",
        "    while not flight.done():\n        with contextlib.suppress(asyncio.CancelledError):\n",
        "    if not flight.done():\n        with contextlib.suppress(asyncio.CancelledError):\n",
        ("unit/test_transfer_transport.py::test_cancelled_again_and_again_it_still_waits_for_the_thread",),
    ),
    # Disks, and what they forget.
    Guard(
        "free space: what would not fit is not begun",
        "destination/partial.py",
        "            await self._hands.do(self._hold_room, size)\n",
        "            pass\n",
        (f"{DISK}test_what_would_go_below_the_floor_is_not_begun_and_the_rest_comes",),
    ),
    Guard(
        "free space: a body of unsaid length",
        "destination/partial.py",
        "            self._room.take(self._name, len(view), self._fd)\n            while view:\n",
        "            while view:\n",
        (f"{DISK}test_an_endless_body_stops_at_the_floor_and_gives_the_room_back",),
    ),
    Guard(
        "lines that a power cut took from the manifest",
        "runner/one_pass.py",
        "            await relist(parts)\n",
        "",
        ("fault/test_kills.py::test_a_power_cut_at_any_moment_heals",),
    ),
    Guard(
        "WAL on local disks alone",
        "core/mounts.py",
        'return "delete" if found is not None and found.is_network else "wal"',
        'return "wal"',
        ("fault/test_ledger_faults.py::test_a_ledger_on_a_network_file_system_is_warned_of_and_does_without_wal",),
    ),
    # One file over several ranges.
    Guard(
        "ranges beside each other: a strong validator",
        "core/segments.py",
        "gives_ranges and is_strong(promise.etag) else None",
        "gives_ranges else None",
        ("property/test_segments.py::test_it_takes_a_strong_validator_and_ranges",),
    ),
    Guard(
        "ranges beside each other: If-Range on each",
        "core/segments.py",
        "overlap=overlap, if_range=version, last",
        "overlap=overlap, last",
        (f"{SEGMENTS}test_what_lies_ahead_is_not_fetched_again",),
    ),
    Guard(
        "ranges beside each other: exactly the range",
        "core/resume.py",
        " or (span.first, span.last) != (asked.start, asked.last):\n",
        ":\n",
        ("property/test_segments.py::test_an_answer_that_is_not_exactly_the_range_says_why",),
    ),
    Guard(
        "ranges beside each other: total and ETag",
        "core/resume.py",
        "    if span.total != held.size or answer.etag != held.etag or _is_other",
        "    if _is_other",
        ("property/test_segments.py::test_an_answer_that_is_not_exactly_the_range_says_why",),
    ),
    Guard(
        "ranges beside each other: what lies ahead of an earlier try is compared",
        "runner/segmented.py",
        "0 if before is None else before.length)",
        "0)",
        (f"{SEGMENTS}test_bytes_ahead_that_changed_on_disk_are_found_by_the_overlap",),
    ),
    Guard(
        "ranges beside each other: no second link is lost to a later range",
        "runner/segmented.py",
        "self._refused, self._trouble = True, Interrupted(error.message)",
        "raise",
        (f"{SEGMENTS}test_a_fresh_link_refused_to_a_later_range_loses_no_file",),
    ),
    Guard(
        "map: of this version and size alone",
        "destination/partial.py",
        "(keep, size, version) != (self._size, ahead.size, ahead.version)",
        "keep != self._size",
        ("contract/test_destination_contract.py::test_another_version_or_another_size_drops_what_lies_ahead",),
    ),
    Guard(
        "map: its checksum",
        "core/segments.py",
        '    if check != b"%08x\\n" % zlib.crc32(text):\n        return None\n',
        "",
        ("property/test_segments.py::test_a_damaged_map_is_no_map",),
    ),
    Guard(
        "map: there before the first byte ahead",
        "destination/partial.py",
        "            self._write_map(ahead, folder)\n        self._ahead = ahead\n",
        "        self._ahead = ahead\n",
        (f"{SEGMENTS}test_a_power_cut_at_any_moment_leaves_no_map_that_claims_too_much",),
    ),
    Guard(
        "map: what it claims is fsynced before it is",
        "destination/partial.py",
        "        self._fsync()\n        maps.write_map(",
        "        maps.write_map(",
        (f"{SEGMENTS}test_a_power_cut_at_any_moment_leaves_no_map_that_claims_too_much",),
    ),
    Guard(
        "map: gone for good before the file is published",
        "destination/partial.py",
        "            with self._site.opened() as here:\n"
        "                maps.drop_map(self._name, folder_of(self._site, here))\n            self._ahead = None\n",
        "            self._ahead = None\n",
        (f"{SEGMENTS}test_what_lies_ahead_is_not_fetched_again",),
    ),
    Guard(
        "map: one that tells of more than there is goes",
        "destination/ahead.py",
        "    if last > length:\n",
        "    if False:\n",
        (f"{SEGMENTS}test_a_map_that_tells_of_more_than_there_is_costs_what_lies_ahead",),
    ),
    # A second process.
    Guard(
        "a helper ends with the pass that began it",
        "helping.py",
        "    os._exit(0)\n",
        "    await asyncio.Event().wait()\n",
        (f"{HELPER}test_a_helper_does_not_outlive_a_pass_that_is_killed",),
    ),
    Guard(
        "a helper leaves signals to its pass",
        "helping.py",
        "        signal.signal(number, signal.SIG_IGN)\n",
        "        pass\n",
        (f"{HELPER}test_a_helper_that_is_told_to_end_by_itself_goes_on",),
    ),
    Guard(
        "a helper has no key",
        "helper/process.py",
        "clean(os.environ)",
        "dict(os.environ)",
        ("integration/test_helper_process.py::test_neither_key_nor_link_is_in_its_environment_or_its_command_line",),
    ),
    Guard(
        "only files of which nothing is here go to a helper",
        "core/errands.py",
        "    if free is None or entry.path is not None or link != entry.link:\n",
        "    if free is None:\n",
        ("unit/test_errands.py::test_a_file_that_something_is_known_of_is_none",),
    ),
    Guard(
        "what a helper leaves off is heard of when nothing is written any more",
        "helper/process.py",
        "            self._stop()\n        return False\n",
        "            self._stop()\n        return super().cancel()\n",
        ("integration/test_helper_process.py::test_cancelled_it_is_heard_once_the_partial_is_let_go_of",),
    ),
    Guard(
        "what a helper leaves off is looked for",
        "runner/crew.py",
        "                await destination.note_partial(errand.id)\n",
        "                pass\n",
        (f"{HELPER}test_what_fails_does_so_in_the_same_way_wherever_it_is_fetched",),
    ),
    Guard(
        "what a helper declines is fetched here",
        "runner/worker.py",
        "        except Declined:\n            claim =",
        "        except ZeroDivisionError:\n            claim =",
        ("unit/test_crew.py::test_one_that_declines_everything_costs_a_pass_nothing",),
    ),
    Guard(
        "what a helper published and did not tell of is not fetched again",
        "runner/worker.py",
        "return await self._recover(claim) or await self._crew.fetch(claim, link, gauge)",
        "return await self._crew.fetch(claim, link, gauge)",
        ("unit/test_crew.py::test_what_it_published_and_did_not_tell_of_is_taken_in_and_not_fetched_again",),
    ),
    Guard(
        "a helper that declined is asked no more",
        "runner/crew.py",
        "                    self._dismiss(helper, error.message)\n",
        "                    pass\n",
        ("unit/test_crew.py::test_what_is_declined_is_for_this_process_and_so_is_all_that_follows",),
    ),
    Guard(
        "a file that turns out to be large comes back from a helper",
        "runner/crew.py",
        "        if not errands.is_small(promise.size):\n",
        "        if False:\n",
        ("unit/test_crew.py::test_a_file_that_turns_out_to_be_too_large_comes_back_before_a_byte_is_kept",),
    ),
    Guard(
        "helpers get nothing where there is no room for two",
        "runner/crew.py",
        "is_of_use and await self._is_roomy()",
        "is_of_use",
        ("unit/test_crew.py::test_without_room_for_two_files_stay_here",),
    ),
    Guard(
        "helpers end where the rate is limited",
        "runner/crew.py",
        "                if load.is_limited and self._away:\n",
        "                if False:\n",
        ("unit/test_crew.py::test_under_a_limit_on_the_rate_none_is_begun_and_those_there_are_end",),
    ),
    Guard(
        "a process is begun beside the event loop",
        "children.py",
        'threading.Thread(target=live, name="syncer-child", daemon=True).start()',
        "live()",
        (
            f"{CHILDREN}test_a_users_command_is_begun_beside_the_rest",
            f"{CHILDREN}test_a_second_process_is_begun_beside_the_rest",
        ),
    ),
    Guard(
        "what is given up while it begins is killed",
        "children.py",
        "        if is_unwanted:\n",
        "        if False:\n",
        (f"{CHILDREN}test_what_is_given_up_while_it_begins_is_over_at_once_and_not_left_behind",),
    ),
)
