#include "CNghttp2.h"

int32_t ch2_submit_request(nghttp2_session *session, const nghttp2_nv *nva, size_t nvlen,
                           ch2_data_source_read_callback read, void *source, void *stream_user_data) {
#if NGHTTP2_VERSION_NUM >= 0x013c00
  nghttp2_data_provider2 provider = {.source = {.ptr = source}, .read_callback = read};
  return nghttp2_submit_request2(session, NULL, nva, nvlen, read ? &provider : NULL, stream_user_data);
#else
  nghttp2_data_provider provider = {.source = {.ptr = source}, .read_callback = read};
  return nghttp2_submit_request(session, NULL, nva, nvlen, read ? &provider : NULL, stream_user_data);
#endif
}

int ch2_submit_response(nghttp2_session *session, int32_t stream_id, const nghttp2_nv *nva, size_t nvlen,
                        ch2_data_source_read_callback read, void *source) {
#if NGHTTP2_VERSION_NUM >= 0x013c00
  nghttp2_data_provider2 provider = {.source = {.ptr = source}, .read_callback = read};
  return nghttp2_submit_response2(session, stream_id, nva, nvlen, read ? &provider : NULL);
#else
  nghttp2_data_provider provider = {.source = {.ptr = source}, .read_callback = read};
  return nghttp2_submit_response(session, stream_id, nva, nvlen, read ? &provider : NULL);
#endif
}
