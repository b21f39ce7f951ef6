/* The request link: a request as the agent reads it, and an answer as polderd reads it. */
#include <stdint.h>
#include <string.h>

#include "daemon/agent/packet.h"
#include "daemon/model/limits.h"
#include "daemon/model/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet_request request;
	struct packet_answer answer;

	if (packet_request_parse((const char *)data, size, &request, NULL)) {
		g_assert_true(size <= LIMIT_EXEC_REQUEST_BYTES);
		g_assert_true(request.id > 0 && name_check(request.vm, NULL));
		g_assert_true((request.stream.kind == ENGINE_STREAM_EXEC) == (request.stream.request != NULL));
	}
	packet_request_clear(&request);
	packet_answer_parse((const char *)data, size, &answer, NULL);
	packet_answer_clear(&answer);
	return 0;
}
